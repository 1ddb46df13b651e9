/** Element-wise functions of one operand. */
import { describe, expect, test } from "vitest";
import { erf } from "../../src/ops/kernels/erf.ts";
import { checkOp } from "../harness/check-op.ts";
import { gradientAt } from "../harness/gradient.ts";

const smooth = ["Neg", "Exp", "Erf", "Abs"];
for (const op of smooth) {
  checkOp("a matrix", { op, inputs: [{ shape: [3, 4], kinks: [0] }] });
  checkOp("a scalar", { op, inputs: [{ shape: [], values: [0.7] }] });
}
checkOp("nothing", { op: "Exp", inputs: [{ shape: [0, 3] }] });
for (const op of ["Sqrt", "Log", "Reciprocal"]) {
  checkOp("positive elements", { op, inputs: [{ shape: [2, 3], range: [0.5, 3] }] });
}
checkOp("negative elements", { op: "Reciprocal", inputs: [{ shape: [2, 3], range: [-3, -0.5] }] });
for (const op of ["Neg", "Abs", "Sign"]) {
  for (const dtype of ["int32", "int64", "float64"] as const) {
    checkOp(dtype, { op, inputs: [{ shape: [5], dtype, range: [-3, 3], kinks: [0] }] });
  }
}
for (const op of ["Floor", "Ceil", "Round", "Sign"]) {
  checkOp("steps", { op, inputs: [{ shape: [3, 5], range: [-3, 3], kinks: [-3, -2, -1, 0, 1, 2, 3] }] });
}
checkOp(
  "half way to even",
  { op: "Round", inputs: [{ shape: [7], values: [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.2] }] },
  { noGradient: "a kink" },
);

describe("at kinks, as PyTorch", () => {
  test.each([
    ["Abs", 0, 0],
    ["Sqrt", 0, Number.POSITIVE_INFINITY],
    ["Log", 0, Number.POSITIVE_INFINITY],
  ])("%s at %s has slope %s", (op, x, slope) => {
    expect(gradientAt({ op, inputs: [{ shape: [], values: [x] }] })).toEqual([[slope]]);
  });
});

test("erf agrees with tabulated values (Abramowitz and Stegun, table 7.1) and is odd", () => {
  const table: readonly (readonly [number, number])[] = [
    [0, 0],
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [2.4, 0.999311486103355],
    [2.6, 0.9997639655834707],
    [3.5, 0.9999992569016276],
    [7, 1],
  ];
  for (const [x, value] of table) {
    expect(Math.abs(erf(x) - value)).toBeLessThan(3e-16);
    expect(erf(-x)).toBe(-erf(x));
  }
});
