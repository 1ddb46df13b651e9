/** Normalizations per channel, group, batch and vector. */
import { describe, expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { difference } from "../harness/compare.ts";
import { gradientAt } from "../harness/gradient.ts";
import { evaluateCase, type OperandSpec } from "../harness/op-case.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";
import { upgradedCase } from "../harness/upgrade.ts";

const image: OperandSpec = { shape: [2, 4, 3, 2] };
const scale: OperandSpec = { shape: [4], range: [0.5, 1.5] };
const bias: OperandSpec = { shape: [4] };

checkOp("images", { op: "InstanceNormalization", inputs: [image, scale, bias] });
checkOp("sequences", { op: "InstanceNormalization", inputs: [{ shape: [2, 4, 5] }, scale, bias] });
checkOp("a large epsilon", {
  op: "InstanceNormalization",
  attributes: { epsilon: float(0.3) },
  inputs: [image, scale, bias],
});

const groups = { num_groups: 2 };
checkOp("images", { op: "GroupNormalization", opset: 21, attributes: groups, inputs: [image, scale, bias] });
checkOp("sequences", {
  op: "GroupNormalization",
  opset: 21,
  attributes: groups,
  inputs: [{ shape: [2, 4, 5] }, scale, bias],
});
checkOp("a group per channel", {
  op: "GroupNormalization",
  opset: 21,
  attributes: { num_groups: 4 },
  inputs: [image, scale, bias],
});
checkOp("a scale per group", {
  op: "GroupNormalization",
  opset: 18,
  attributes: { ...groups, epsilon: float(0.01) },
  inputs: [image, { ...scale, shape: [2] }, { ...bias, shape: [2] }],
});

const mean: OperandSpec = { shape: [4] };
const variance: OperandSpec = { shape: [4], range: [0.5, 2] };
const batchNorm = { op: "BatchNormalization" };
checkOp("given statistics", { ...batchNorm, inputs: [image, scale, bias, mean, variance] });
checkOp("given statistics, vectors", {
  ...batchNorm,
  inputs: [{ shape: [5, 4] }, scale, bias, mean, variance],
});
checkOp("given statistics, a large epsilon", {
  ...batchNorm,
  attributes: { epsilon: float(0.5) },
  inputs: [image, scale, bias, mean, variance],
});
const training = { training_mode: 1, momentum: float(0.7) };
checkOp("training mode", {
  ...batchNorm,
  outputs: 3,
  attributes: training,
  inputs: [image, scale, bias, mean, variance],
});
for (const reads of [[0], [1], [2]]) {
  checkOp(`training mode, of three results only ${reads}`, {
    ...batchNorm,
    outputs: 3,
    reads,
    attributes: training,
    inputs: [image, scale, bias, mean, variance],
  });
}
for (const op of ["InstanceNormalization", "BatchNormalization"]) {
  const inputs = [image, scale, bias, ...(op === "BatchNormalization" ? [mean, variance] : [])];
  checkOp("names of their own", { op, inputs }, { namings: ["separate"] });
}
checkOp(
  "training mode, one result",
  { ...batchNorm, attributes: training, inputs: [image, scale, bias, mean, variance] },
  { noRuntime: "the runtime wants all three results" },
);

checkOp("p = 2", { op: "LpNormalization", inputs: [{ shape: [3, 4] }] });
checkOp("p = 1, axis 0", {
  op: "LpNormalization",
  attributes: { p: 1, axis: 0 },
  inputs: [{ shape: [3, 4], kinks: [0] }],
});
checkOp(
  "a row of zeros",
  { op: "LpNormalization", inputs: [{ shape: [2, 2], values: [0, 0, 3, 4] }] },
  { noGradient: "a kink" },
);
checkOp("images", { op: "MeanVarianceNormalization", inputs: [image] });
checkOp("other axes", { op: "MeanVarianceNormalization", attributes: { axes: [1, -1] }, inputs: [image] });

for (const [size, beta] of [
  [1, 0.75],
  [3, 0.75],
  [4, 0.5],
  [5, 1],
] as const) {
  const attributes = { size, alpha: float(0.3), beta: float(beta), bias: float(1.5) };
  checkOp(
    `size ${size}`,
    { op: "LRN", attributes, inputs: [{ shape: [2, 6, 2, 3] }] },
    size % 2 === 0 ? { noRuntime: "the kernel takes odd sizes only" } : {},
  );
}

describe("at kinks", () => {
  test("a vector of length 0 gets no gradient", () => {
    for (const p of [1, 2]) {
      const inputs = [{ shape: [1, 2], values: [0, 0] }];
      expect(gradientAt({ op: "LpNormalization", attributes: { p }, inputs })).toEqual([[0, 0]]);
    }
  });
});

describe("upgrades", () => {
  const operands = [image, scale, bias, mean, variance];
  const current = evaluateCase(upgradedCase({ ...batchNorm, inputs: operands }))[0];
  test.each([
    [7, { spatial: 1 }],
    [9, {}],
  ])("BatchNormalization of opset %s with %j", (opset, attributes) => {
    const [result] = evaluateCase(upgradedCase({ ...batchNorm, opset, attributes, inputs: operands }));
    expect(result?.toNumbers()).toEqual(current?.toNumbers());
  });
  test("BatchNormalization of every position apart", () => {
    const inputs = [
      { shape: [2, 3], values: [1, 2, 3, 4, 5, 6] },
      ...[2, 1, 3, 4].map((v) => ({ shape: [3], values: [v, v, v] })),
    ];
    const [result] = evaluateCase(
      upgradedCase({ ...batchNorm, opset: 7, attributes: { spatial: 0, epsilon: float(0) }, inputs }),
    );
    expect(result?.toNumbers()).toEqual([-1, 0, 1, 2, 3, 4]);
  });
  test("BatchNormalization with saved statistics is in training mode", () => {
    const built = upgradedCase({ ...batchNorm, opset: 9, outputs: 5, inputs: operands });
    const results = evaluateCase(built);
    const wanted = evaluateCase(
      upgradedCase({ ...batchNorm, outputs: 3, attributes: { training_mode: 1 }, inputs: operands }),
    );
    wanted.forEach((array, index) => {
      const actual = results[index];
      expect(actual && difference(actual, array, runtimeTolerance("float32"))).toBeUndefined();
    });
    const means = results[3]?.toNumbers() ?? [];
    const image0 = evaluateCase(built).length;
    expect(image0).toBe(5);
    expect(means).toHaveLength(4);
    expect(results[4]?.toNumbers().every((value) => value > 0)).toBe(true);
  });
  test("GroupNormalization repeats its parameters for each channel", () => {
    const inputs = [image, { ...scale, shape: [2] }, { ...bias, shape: [2] }];
    const spec = { op: "GroupNormalization", opset: 18, attributes: groups, inputs };
    const [before] = evaluateCase(upgradedCase(spec, 18));
    const [after] = evaluateCase(upgradedCase(spec, 21));
    expect(after?.toNumbers()).toEqual(before?.toNumbers());
  });
});
