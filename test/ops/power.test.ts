/** Pow and Mod. */
import { describe, expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { gradientAt } from "../harness/gradient.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const positive: OperandSpec = { shape: [3, 4], range: [0.3, 3] };
const any: OperandSpec = { shape: [3, 4], kinks: [0] };
const scalar = (value: number, dtype: OperandSpec["dtype"] = "float32"): OperandSpec => ({
  shape: [],
  values: [value],
  dtype,
  constant: true,
});

for (const exponent of [0, 1, 2, 3, 4, -1, -2]) {
  checkOp(`constant exponent ${exponent}`, { op: "Pow", inputs: [any, scalar(exponent)] });
}
checkOp("constant int64 exponent", { op: "Pow", inputs: [any, scalar(3, "int64")] });
checkOp("constant exponent 0.5", { op: "Pow", inputs: [positive, scalar(0.5)] });
checkOp("an exponent per column", { op: "Pow", inputs: [positive, { shape: [4] }] });
checkOp("a base per column", { op: "Pow", inputs: [{ shape: [4], range: [0.3, 3] }, { shape: [3, 4] }] });
checkOp("names of their own", { op: "Pow", inputs: [positive, { shape: [4] }] }, { namings: ["separate"] });
checkOp("a computed int64 exponent", {
  op: "Pow",
  inputs: [any, { shape: [4], dtype: "int64", range: [0, 3] }],
});
checkOp("an exponent of another type", { op: "Pow", inputs: [positive, { shape: [4], dtype: "float64" }] });
checkOp("int64", { op: "Pow", inputs: [{ shape: [5], dtype: "int64", range: [-4, 4] }, scalar(3, "int64")] });

describe("Pow at 0, as PyTorch", () => {
  test.each([
    [0, 0, 0, 0],
    [0, 2, 0, 0],
    [0, 0.5, Number.POSITIVE_INFINITY, 0],
    [0, -1, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY],
    [2, 0, 0, 0.6931471824645996],
    [-2, 3, 12, Number.NaN],
  ])("%s to the power of %s", (base, exponent, toBase, toExponent) => {
    const inputs = [base, exponent].map((value) => ({ shape: [], values: [value] }));
    expect(gradientAt({ op: "Pow", inputs })).toEqual([[toBase], [toExponent]]);
  });
});

for (const dtype of ["int32", "int64"] as const) {
  const inputs = [
    { shape: [8], dtype, range: [-9, 9] as const },
    { shape: [8], dtype, values: [-4, -3, -2, -1, 1, 2, 3, 4] },
  ];
  checkOp(`sign of the divisor, ${dtype}`, { op: "Mod", inputs });
  checkOp(`sign of the dividend, ${dtype}`, { op: "Mod", attributes: { fmod: 1 }, inputs });
}
const dividend = { shape: [6], values: [-5.5, -1.3, -0.4, 0.7, 2.6, 7.1] };
checkOp("floats", { op: "Mod", attributes: { fmod: 1 }, inputs: [dividend, { shape: [], values: [2] }] });
checkOp("a divisor below 0", {
  op: "Mod",
  attributes: { fmod: 1 },
  inputs: [dividend, { shape: [], values: [-1.7] }],
});
checkOp(
  "floats with the sign of the divisor",
  { op: "Mod", opset: 28, inputs: [dividend, { shape: [], values: [-1.7] }] },
  { noRuntime: "opset 28 is newer than the stock runtime" },
);
