/** float16 and bfloat16: every bit pattern by an independent decoding, and rounding against NumPy and ml_dtypes. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { viewElements } from "../../src/formats/element-type.ts";
import {
  bfloat16BitsToFloat32,
  bfloat16ToFloat32Array,
  float16BitsToFloat32,
  float16ToFloat32Array,
  float32ToBfloat16Array,
  float32ToBfloat16Bits,
  float32ToFloat16Array,
  float32ToFloat16Bits,
  roundToBfloat16,
  roundToFloat16,
} from "../../src/formats/half.ts";
import { decodeSafetensors } from "../../src/formats/safetensors.ts";

const everyPattern = Uint16Array.from({ length: 65_536 }, (_, bits) => bits);

/** The value of a small IEEE float by the definition of the format, in float64. */
function decode(bits: number, exponentBits: number, fractionBits: number): number {
  const sign = bits >>> 15 === 1 ? -1 : 1;
  const exponent = (bits >>> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (bits & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1)
    return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

const kinds = [
  {
    name: "float16",
    decodeBits: (bits: number) => decode(bits, 5, 10),
    toNumber: float16BitsToFloat32,
    toBits: float32ToFloat16Bits,
    toNumbers: float16ToFloat32Array,
    toBitsArray: float32ToFloat16Array,
    round: roundToFloat16,
    nan: 0x7e00,
  },
  {
    name: "bfloat16",
    decodeBits: (bits: number) => decode(bits, 8, 7),
    toNumber: bfloat16BitsToFloat32,
    toBits: float32ToBfloat16Bits,
    toNumbers: bfloat16ToFloat32Array,
    toBitsArray: float32ToBfloat16Array,
    round: roundToBfloat16,
    nan: 0x7fc0,
  },
];

describe.each(kinds)(
  "$name",
  ({ name, decodeBits, toNumber, toBits, toNumbers, toBitsArray, round, nan }) => {
    const values = Array.from(everyPattern, decodeBits);
    const sameNumbers = (got: ArrayLike<number>): number[] => {
      return values.flatMap((value, bits) => (Object.is(got[bits], value) ? [] : [bits]));
    };

    it("decodes every bit pattern, one by one and as an array", () => {
      expect(sameNumbers(Array.from(everyPattern, toNumber))).toEqual([]);
      expect(sameNumbers(toNumbers(everyPattern))).toEqual([]);
    });

    it("encodes every value as the bits it came from", () => {
      const wrong = values.flatMap((value, bits) => {
        const expected = Number.isNaN(value) ? nan : bits;
        return toBits(value) === expected && Object.is(round(value), value) ? [] : [bits];
      });
      expect(wrong).toEqual([]);
      const numbers = everyPattern.filter((bits) => !Number.isNaN(values[bits] ?? 0));
      expect(toBitsArray(toNumbers(numbers))).toEqual(numbers);
    });

    it("rounds to the nearest and ties to even, between every two neighbours", () => {
      const wrong: number[] = [];
      for (let bits = 0; bits < 0x7fff; bits++) {
        const low = values[bits] ?? 0;
        const high = values[bits + 1] ?? 0;
        if (!Number.isFinite(high)) continue;
        const middle = (low + high) / 2;
        // Below the smallest float32 the middle is not a float32 itself.
        if (Math.fround(middle) !== middle) continue;
        const even = bits % 2 === 0 ? bits : bits + 1;
        if (toBits(middle) !== even || toBits(-middle) !== (even | 0x8000)) wrong.push(bits);
      }
      expect(wrong).toEqual([]);
    });

    it("rounds as NumPy and ml_dtypes do", () => {
      const file = decodeSafetensors(readFileSync("fixtures/formats/half.safetensors"));
      const source = viewElements("float32", file.bytes("float32"));
      const expected = [...viewElements("uint16", file.bytes(name))];
      const isNan = (bits: number): boolean => Number.isNaN(decodeBits(bits));
      // A NaN keeps being a NaN of its sign; which one is not defined by IEEE 754.
      const same = (got: number, want: number): boolean => got === want || (isNan(got) && isNan(want));
      const got = toBitsArray(source);
      expect(source.length).toBeGreaterThan(3000);
      expect(expected.filter((want, i) => !same(got[i] ?? -1, want))).toEqual([]);
      expect(expected.filter((want, i) => !same(toBits(source[i] ?? 0), want))).toEqual([]);
      expect(expected.filter((want, i) => want >>> 15 !== (got[i] ?? 0) >>> 15)).toEqual([]);
    });
  },
);

describe("float16", () => {
  it("overflows to infinity from 65520 on and keeps the largest value below", () => {
    expect(roundToFloat16(65_519.99)).toBe(65_504);
    expect(roundToFloat16(65_520)).toBe(Number.POSITIVE_INFINITY);
    expect(roundToFloat16(-1e9)).toBe(Number.NEGATIVE_INFINITY);
  });

  it("rounds half the smallest subnormal to zero and anything above to the subnormal", () => {
    expect(float32ToFloat16Bits(2 ** -25)).toBe(0);
    expect(float32ToFloat16Bits(-(2 ** -25))).toBe(0x8000);
    expect(float32ToFloat16Bits(2 ** -25 * 1.0001)).toBe(1);
  });

  it("reads arrays that begin inside their buffer", () => {
    const numbers = Float32Array.from([9, 1, -2]).subarray(1);
    expect(Array.from(float32ToFloat16Array(numbers))).toEqual([0x3c00, 0xc000]);
    expect(Array.from(float32ToBfloat16Array(numbers))).toEqual([0x3f80, 0xc000]);
  });
});
