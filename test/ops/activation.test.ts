/** Activations with kinks. */
import { describe, expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { gradientAt } from "../harness/gradient.ts";
import type { OpCase } from "../harness/op-case.ts";

const random = (kinks: readonly number[], range: readonly [number, number] = [-4, 4]) => ({
  shape: [3, 7],
  range,
  kinks,
});

checkOp("default", { op: "Relu", inputs: [random([0])] });
checkOp("int32", { op: "Relu", inputs: [{ shape: [6], dtype: "int32", range: [-3, 3] }] });
checkOp("a scalar", { op: "Relu", inputs: [{ shape: [], values: [-0.5] }] });
checkOp("no elements", { op: "Relu", inputs: [{ shape: [2, 0] }] });
checkOp("default", { op: "LeakyRelu", inputs: [random([0])] });
checkOp("alpha", { op: "LeakyRelu", attributes: { alpha: float(0.3) }, inputs: [random([0])] });
checkOp("default", { op: "Elu", inputs: [random([0])] });
checkOp("alpha", { op: "Elu", attributes: { alpha: float(0.5) }, inputs: [random([0])] });
checkOp("default", { op: "Selu", inputs: [random([0])] });
checkOp("alpha and gamma", {
  op: "Selu",
  attributes: { alpha: float(1.2), gamma: float(0.7) },
  inputs: [random([0])],
});
checkOp("default", { op: "Celu", inputs: [random([0])] });
checkOp("alpha", { op: "Celu", attributes: { alpha: float(2) }, inputs: [random([0])] });
checkOp("default", { op: "HardSigmoid", inputs: [random([-2.5, 2.5])] });
checkOp("alpha and beta", {
  op: "HardSigmoid",
  attributes: { alpha: float(0.5), beta: float(0.25) },
  inputs: [random([-0.5, 1.5])],
});
checkOp("default", { op: "HardSwish", inputs: [random([-3, 3], [-5, 5])] });
checkOp("default", { op: "ThresholdedRelu", inputs: [random([1])] });
checkOp("alpha", { op: "ThresholdedRelu", attributes: { alpha: float(-0.5) }, inputs: [random([-0.5])] });
checkOp("default", { op: "Shrink", inputs: [random([-0.5, 0.5])] });
checkOp("bias and lambd", {
  op: "Shrink",
  attributes: { bias: float(1), lambd: float(1.5) },
  inputs: [random([-1.5, 1.5])],
});
for (const slope of [[7], [1], [3, 1], []]) {
  checkOp(`slope [${slope}]`, { op: "PRelu", inputs: [random([0]), { shape: slope, range: [0.1, 0.9] }] });
}
checkOp("separate names", { op: "PRelu", inputs: [random([0]), { shape: [7] }] }, { namings: ["separate"] });

describe("at kinks, as PyTorch", () => {
  const at = (op: string, x: number, attributes: OpCase["attributes"] = {}): OpCase => ({
    op,
    attributes,
    inputs: [{ shape: [], values: [x] }],
  });
  test.each([
    [at("Relu", 0), 0],
    [at("LeakyRelu", 0, { alpha: float(0.25) }), 0.25],
    [at("Elu", 0, { alpha: float(2) }), 2],
    [at("Selu", 0), 1.7580993175506592],
    [at("Celu", 0, { alpha: float(2) }), 1],
    [at("HardSigmoid", -3, { alpha: float(0.25), beta: float(0.75) }), 0],
    [at("HardSigmoid", 1, { alpha: float(0.25), beta: float(0.75) }), 0],
    [at("HardSwish", -3), 0],
    [at("HardSwish", 3), 1],
    [at("ThresholdedRelu", 1), 0],
    [at("Shrink", 0.5), 0],
    [at("Shrink", -0.5), 0],
  ])("$op at $inputs.0.values", (spec, slope) => {
    expect(gradientAt(spec)[0]?.[0]).toBeCloseTo(slope, 6);
  });
  test("PRelu gives its slope to x, and nothing to the slope", () => {
    const spec = {
      op: "PRelu",
      inputs: [
        { shape: [1], values: [0] },
        { shape: [1], values: [0.25] },
      ],
    };
    expect(gradientAt(spec)).toEqual([[0.25], [0]]);
  });
});
