/** Softmax, LogSoftmax and Hardmax. */
import { describe, expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { evaluateCase } from "../harness/op-case.ts";
import { upgradedCase } from "../harness/upgrade.ts";

for (const op of ["Softmax", "LogSoftmax", "Hardmax"]) {
  checkOp("the last axis", { op, inputs: [{ shape: [3, 5] }] });
  checkOp("axis 0", { op, attributes: { axis: 0 }, inputs: [{ shape: [3, 5] }] });
  checkOp("axis -2", { op, attributes: { axis: -2 }, inputs: [{ shape: [2, 3, 4] }] });
  checkOp("a vector", { op, inputs: [{ shape: [7] }] });
  checkOp("large elements", { op, inputs: [{ shape: [2, 3], values: [900, 901, 899, -900, -903, -901] }] });
  checkOp(
    "float64",
    { op, inputs: [{ shape: [3, 5], dtype: "float64" }] },
    op === "Hardmax" ? { noRuntime: "no double kernel" } : {},
  );
}
checkOp(
  "equal elements",
  { op: "Hardmax", inputs: [{ shape: [2, 3], values: [1, 1, 1, 0, 2, 2] }] },
  { noGradient: "a kink" },
);
for (const op of ["Softmax", "LogSoftmax"]) checkOp("no rows", { op, inputs: [{ shape: [0, 3] }] });

describe("upgrade from the meaning before version 13", () => {
  const x = { shape: [2, 3, 4], range: [-2, 2] as const };
  test.each([
    ["Softmax", 1, 1 / 2],
    ["Softmax", 0, 1],
    ["Softmax", -2, 1 / 2],
    ["Softmax", 2, 1 / 6],
    ["Softmax", undefined, 1 / 2],
  ])("%s over the axes from %s on", (op, axis, share) => {
    const built = upgradedCase({
      op,
      opset: 11,
      attributes: axis === undefined ? {} : { axis },
      inputs: [x],
    });
    const [result] = evaluateCase(built);
    expect(result?.shape).toEqual(x.shape);
    const group = (result?.size ?? 0) * share;
    for (let start = 0; start < 24; start += group) {
      const sum = result
        ?.toNumbers()
        .slice(start, start + group)
        .reduce((total, value) => total + value, 0);
      expect(sum).toBeCloseTo(1, 6);
    }
    expect(built.model.graph.outputs[0]?.name).toBe("y0");
  });
  test.each(["LogSoftmax", "Hardmax"])("%s keeps its shape", (op) => {
    const [result] = evaluateCase(upgradedCase({ op, opset: 7, inputs: [x] }));
    const total = result
      ?.toNumbers()
      .reduce((sum, value) => sum + (op === "Hardmax" ? value : Math.exp(value)), 0);
    expect(result?.shape).toEqual(x.shape);
    expect(total).toBeCloseTo(2, 5);
  });
});
