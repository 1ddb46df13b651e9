/** Det: matrices of all sizes, alone and in batches, singular ones too. */
import { expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { gradientAt } from "../harness/gradient.ts";
import { buildCase } from "../harness/op-case.ts";

const det = { op: "Det", opset: 22 };
for (const rows of [1, 2, 3, 5]) checkOp(`${rows} rows`, { ...det, inputs: [{ shape: [rows, rows] }] });
checkOp("a batch", { ...det, inputs: [{ shape: [4, 3, 3] }] });
checkOp("batches of batches", { ...det, inputs: [{ shape: [2, 1, 3, 2, 2] }] });
checkOp("no matrix", { ...det, inputs: [{ shape: [0, 3, 3] }] });
checkOp("opset 11", { ...det, opset: 20, inputs: [{ shape: [3, 3] }] });
checkOp("float64", { ...det, inputs: [{ shape: [3, 3], dtype: "float64" }] }, { noRuntime: "float32 only" });
checkOp("a pivot that is 0", { ...det, inputs: [{ shape: [3, 3], values: [0, 2, 1, 3, 0, 5, 1, 4, 0] }] });
checkOp("rank 2 of 3", { ...det, inputs: [{ shape: [3, 3], values: [1, 2, 3, 4, 5, 6, 7, 8, 9] }] });
checkOp("rank 1 of 3", { ...det, inputs: [{ shape: [3, 3], values: [1, 2, 3, 2, 4, 6, 3, 6, 9] }] });
checkOp("gradient of the gradient", { ...det, inputs: [{ shape: [3, 3] }] }, { twice: true });

test("the gradient at a singular matrix is its adjugate, transposed", () => {
  const values = [1, 2, 3, 4, 5, 6, 7, 8, 9];
  const [gradient] = gradientAt({ ...det, inputs: [{ shape: [3, 3], values }] });
  expect(gradient?.map((v) => Math.round(v * 1e5) / 1e5)).toEqual([-3, 6, -3, 6, -12, 6, -3, 6, -3]);
});

test("matrices that are not square, or too large for all their minors, are refused", () => {
  expect(() => buildCase({ ...det, inputs: [{ shape: [2, 3] }] }, "static")).toThrow(
    /E_BAD_OPERAND[\s\S]*\[2, 3\]/,
  );
  expect(() => gradientAt({ ...det, inputs: [{ shape: [65, 65] }] })).toThrow(/E_BAD_OPERAND[\s\S]*65 rows/);
});
