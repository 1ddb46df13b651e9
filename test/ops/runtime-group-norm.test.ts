/** Group normalizations of com.microsoft. */
import { describe, expect, test } from "vitest";
import { floatAttribute } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildCase, evaluateCase, type OpCase, type OperandSpec } from "../harness/op-case.ts";

const domain = "com.microsoft";
const namings = ["static", "shared"] as const;
const noRuntime = "the CPU has no such kernel";
const [gamma, beta] = [{ shape: [6] }, { shape: [6] }];
const images: Readonly<Record<string, OperandSpec>> = {
  last: { shape: [2, 3, 4, 6] },
  first: { shape: [2, 6, 3, 4] },
};

for (const [layout, x] of Object.entries(images)) {
  for (const activation of [0, 1]) {
    const attributes = {
      channels_last: layout === "last" ? 1 : 0,
      activation,
      groups: 3,
      epsilon: floatAttribute(0.01),
    };
    const name = `channels ${layout}, activation ${activation}`;
    checkOp(name, { op: "GroupNorm", domain, inputs: [x, gamma, beta], attributes }, { namings, noRuntime });
    const skips = [x.shape, [2, 6], layout === "last" ? [2, 1, 1, 6] : [2, 6, 1, 1]];
    for (const shape of skips) {
      for (const bias of [{ shape: [6] }, null]) {
        const spec = {
          op: "SkipGroupNorm",
          domain,
          inputs: [x, gamma, beta, { shape }, bias],
          attributes,
          outputs: 2,
        };
        const described = `${name}, skip of [${shape}]${bias === null ? "" : ", bias"}`;
        checkOp(described, spec, { namings, noRuntime });
        checkOp(`${described}, sum unread`, { ...spec, outputs: 1 }, { namings, noRuntime });
      }
    }
  }
}
const half = { dtype: "float16" as const };
checkOp(
  "16 bits with float32 factors",
  {
    op: "GroupNorm",
    domain,
    inputs: [{ shape: [1, 2, 2, 4], ...half }, { shape: [4] }, { shape: [4] }],
    attributes: { groups: 2, activation: 0 },
  },
  { noRuntime },
);

describe("the formula", () => {
  const values = Array.from({ length: 2 * 2 * 4 }, (_, i) => Math.sin(i * 1.7));
  const [scale, shift] = [
    [1, 2, 0.5, -1],
    [0, 0.3, -0.2, 0.1],
  ];
  test.each([0, 1])("activation %i", (activation) => {
    const spec: OpCase = {
      op: "GroupNorm",
      domain,
      inputs: [
        { shape: [1, 2, 2, 4], values },
        { shape: [4], values: scale },
        { shape: [4], values: shift },
      ],
      attributes: { groups: 2, activation },
    };
    const [got] = evaluateCase(buildCase(spec, "static"));
    values.forEach((value, i) => {
      const channel = i % 4;
      const group = values.filter((_, j) => (j % 4) >> 1 === channel >> 1);
      const mean = group.reduce((sum, v) => sum + v, 0) / group.length;
      const variance = group.reduce((sum, v) => sum + (v - mean) ** 2, 0) / group.length;
      const y = ((value - mean) / Math.sqrt(variance + 1e-5)) * (scale[channel] ?? 0) + (shift[channel] ?? 0);
      expect(got?.numbers[i]).toBeCloseTo(activation === 0 ? y : y / (1 + Math.exp(-y)), 5);
    });
  });
});

test.each([{ groups: 2, activation: 2 }, { activation: 0 }])("%o is refused", (attributes) => {
  const spec = { op: "GroupNorm", domain, inputs: [images.last ?? null, gamma, beta], attributes };
  expect(() => buildCase(spec, "static")).toThrow(/does not fit/);
});
