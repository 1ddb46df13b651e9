/** Cast from and to text: what ONNX Runtime 1.30 gave for these, asked through its Python package. */
import { describe, expect, test } from "vitest";
import type { DType } from "../../src/ir/dtype.ts";
import { convertElements } from "../../src/ops/kernels/convert.ts";
import { fromNumbers, NDArray } from "../../src/ops/ndarray.ts";

function print(dtype: DType, value: number): string {
  return String(convertElements(fromNumbers(dtype, [1], [value]), "string").data[0]);
}

function parse(text: string, dtype: DType): number {
  return Number(convertElements(new NDArray("string", [1], [text]), dtype).data[0]);
}

describe("numbers to text", () => {
  test.each([
    [0.1, "0.1", "0.1"],
    [1 / 3, "0.33333334", "0.33333333"],
    [1e10, "1e+10", "1e+10"],
    [123456789, "1.2345679e+08", "1.2345679e+08"],
    [1e-5, "9.9999997e-06", "1e-05"],
    [0.0001234, "0.00012339999", "0.0001234"],
    [-0, "-0", "-0"],
    [0, "0", "0"],
    [100000, "100000", "100000"],
    [1e8, "1e+08", "1e+08"],
    [99999999, "1e+08", "99999999"],
    [16777216, "16777216", "16777216"],
    [12345678.9, "12345679", "12345679"],
    [3.4e38, "3.4e+38", "3.4e+38"],
    [1e-45, "1.4012985e-45", "1e-45"],
    [Number.POSITIVE_INFINITY, "INF", "INF"],
    [Number.NEGATIVE_INFINITY, "-INF", "-INF"],
    [Number.NaN, "NaN", "NaN"],
  ])("%d", (value, single, double) => {
    expect([print("float32", value), print("float64", value)]).toEqual([single, double]);
  });

  test("float16, whole numbers and truth values", () => {
    expect(print("float16", 0.1)).toBe("0.099975586");
    expect(print("int64", -5)).toBe("-5");
    expect(print("uint8", 250)).toBe("250");
    expect([print("bool", 1), print("bool", 0)]).toEqual(["1", "0"]);
  });
});

describe("text to numbers", () => {
  test.each([
    ["1.5", 1.5],
    ["+INF", Number.POSITIVE_INFINITY],
    ["-INF", Number.NEGATIVE_INFINITY],
    ["Infinity", Number.POSITIVE_INFINITY],
    ["NaN", Number.NaN],
    ["-nan", Number.NaN],
    ["1e5", 1e5],
    ["-1E-3", Math.fround(-1e-3)],
    [" 2", 2],
    ["1.0f", 1],
    ["1,5", 1],
    [".5", 0.5],
    ["5.", 5],
    ["+5", 5],
  ])("%j as a float", (text, value) => {
    expect(parse(text, "float32")).toBe(value);
  });

  test.each(["abc", "", "1e400", "1e-400", "."])("%j is no float", (text) => {
    expect(() => parse(text, "float64")).toThrow("is no number");
  });

  test("whole numbers end where their digits do", () => {
    expect([parse("1.5", "int64"), parse("1e5", "int32"), parse("-1E-3", "uint8")]).toEqual([1, 1, 255]);
    expect([parse("0x10", "bool"), parse("2 ", "bool")]).toEqual([0, 1]);
    expect(() => parse(".5", "int64")).toThrow("is no whole number");
    expect(() => parse("INF", "int32")).toThrow("is no whole number");
  });
});
