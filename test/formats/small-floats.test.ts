/** Floats of 8 and 4 bits: the numbers of their specifications, rounding, and what is too large for them. */
import { describe, expect, it } from "vitest";
import {
  bitsOfSmallFloat,
  largestSmallFloat,
  roundToSmallFloat,
  type SmallFloat,
  smallFloatOfBits,
} from "../../src/formats/small-floats.ts";

/** Largest and smallest positive number, patterns of NaN, patterns of infinity without and with sign. */
const facts: readonly (readonly [SmallFloat, number, number, readonly number[], readonly number[]])[] = [
  ["float8e4m3fn", 448, 2 ** -9, [0x7f, 0xff], []],
  ["float8e4m3fnuz", 240, 2 ** -10, [0x80], []],
  ["float8e5m2", 57344, 2 ** -16, [0x7d, 0x7e, 0x7f, 0xfd, 0xfe, 0xff], [0x7c, 0xfc]],
  ["float8e5m2fnuz", 57344, 2 ** -17, [0x80], []],
  ["float4e2m1", 6, 0.5, [], []],
];

describe.each(facts)("%s", (type, most, least, nans, infinities) => {
  const patterns = Array.from({ length: type === "float4e2m1" ? 16 : 256 }, (_, bits) => bits);

  it("has the numbers of its specification", () => {
    expect(largestSmallFloat(type)).toBe(most);
    expect(smallFloatOfBits(type, 1)).toBe(least);
    expect(patterns.filter((bits) => Number.isNaN(smallFloatOfBits(type, bits)))).toEqual(nans);
    expect(patterns.filter((bits) => Math.abs(smallFloatOfBits(type, bits)) === Infinity)).toEqual(
      infinities,
    );
  });

  it("gives every number its own pattern again", () => {
    const finite = patterns.filter((bits) => Number.isFinite(smallFloatOfBits(type, bits)));
    expect(finite.map((bits) => bitsOfSmallFloat(type, smallFloatOfBits(type, bits)))).toEqual(finite);
  });

  it("rounds to the nearest, to even between two", () => {
    for (let bits = 0; smallFloatOfBits(type, bits) < most; bits++) {
      const [low, high] = [smallFloatOfBits(type, bits), smallFloatOfBits(type, bits + 1)];
      expect(bitsOfSmallFloat(type, (low + high) / 2)).toBe(bits % 2 === 0 ? bits : bits + 1);
      expect(roundToSmallFloat(type, low + 0.49 * (high - low))).toBe(low);
      expect(roundToSmallFloat(type, low + 0.51 * (high - low))).toBe(high);
    }
  });

  it("keeps what is too large at its largest number, or says so", () => {
    expect(roundToSmallFloat(type, -1e9)).toBe(-most);
    expect(roundToSmallFloat(type, Infinity)).toBe(most);
    const beyond = infinities.length > 0 ? -Infinity : type === "float4e2m1" ? -most : Number.NaN;
    expect(roundToSmallFloat(type, -1e9, false)).toBe(beyond);
  });
});
