/** Tests of src/text/numbers.ts: shortest text that reads back to the same bits. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatFloat32, formatFloat64, parseFloat32, parseFloat64 } from "../../src/text/numbers.ts";

function float32(bits: number): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, bits);
  return view.getFloat32(0);
}

describe("float32", () => {
  test.each([
    [0.1, "0.1"],
    [1, "1"],
    [-0, "-0"],
    [1e-45, "1e-45"],
    [3.4028234663852886e38, "3.4028235e+38"],
    [16777215, "16777215"],
    [1 / 3, "0.33333334"],
    [Number.NaN, "nan"],
    [Number.POSITIVE_INFINITY, "inf"],
    [1e300, "inf"],
    [-1e300, "-inf"],
  ])("%d prints as %s", (value, text) => {
    expect(formatFloat32(value)).toBe(text);
  });

  test("every bit pattern reads back to itself", () => {
    fc.assert(
      fc.property(fc.nat({ max: 0xffffffff }), (bits) => {
        const value = float32(bits);
        expect(Object.is(parseFloat32(formatFloat32(value)), value)).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  test("no shorter text reads back", () => {
    fc.assert(
      fc.property(fc.float({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const digits = formatFloat32(value)
          .replace(/e.*|[-.]|^-?0\.0*/g, "")
          .replace(/^0+|0+$/g, "").length;
        fc.pre(digits > 1);
        expect(Math.fround(Number(value.toPrecision(digits - 1)))).not.toBe(value);
      }),
      { numRuns: 2000 },
    );
  });

  test("is rounded once, not by way of a double", () => {
    // 1 + 2^-24 is the middle between 1 and the float32 after it; the first text is just above, the second just below.
    const middle = "1.000000059604644775390625";
    expect(parseFloat32(middle)).toBe(1);
    expect(parseFloat32(`${middle}0000000000000000000001`)).toBe(Math.fround(1 + 2 ** -23));
    expect(parseFloat32("1.000000178813934326171874999999999999999999")).toBe(Math.fround(1 + 2 ** -23));
    expect(parseFloat32("1.000000178813934326171875")).toBe(1 + 2 ** -22);
    expect(parseFloat32("-1.0000000596046447753906250000000000000000001")).toBe(-Math.fround(1 + 2 ** -23));
    expect(parseFloat32("7.006492321624085354618e-46")).toBe(0);
    expect(parseFloat32("7.006492321624085354619e-46")).toBe(1.401298464324817e-45);
  });

  test("huge literals cost no time", () => {
    expect(parseFloat32(`1${"0".repeat(100_000)}e-100000`)).toBe(1);
    expect(parseFloat32("1e999999999")).toBe(Number.POSITIVE_INFINITY);
    expect(parseFloat32("1e-999999999")).toBe(0);
  });
});

describe("float64", () => {
  test("every double reads back to itself", () => {
    fc.assert(
      fc.property(fc.double(), (value) => {
        expect(Object.is(parseFloat64(formatFloat64(value)), value)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ["inf", Number.POSITIVE_INFINITY],
    ["-Infinity", Number.NEGATIVE_INFINITY],
    ["NaN", Number.NaN],
    ["-nan", Number.NaN],
    ["1.e2", 100],
  ])("%s is %d", (text, value) => {
    expect(parseFloat64(text)).toBe(value);
  });
});
