/** GatedRelativePositionBias, which no CPU kernel computes: values against numbers of its definition, and gradients. */
import { expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { buildCase, evaluateCase, type OpCase } from "../harness/op-case.ts";

const noRuntime = "only the CUDA provider has a kernel";
const spec: OpCase = {
  op: "GatedRelativePositionBias",
  domain: "com.microsoft",
  attributes: { num_heads: 2 },
  inputs: [
    ...[{ shape: [2, 3, 8] }, { shape: [8] }, { shape: [1, 2, 3, 3] }],
    ...[{ shape: [4, 6] }, { shape: [6] }, { shape: [1, 2, 1, 1] }],
  ],
};

checkOp("gates of queries", spec, { noRuntime, namings: ["static", "shared", "separate"] });

test("one query of one head, by hand", () => {
  const one = (shape: readonly number[], ...values: readonly number[]) => ({ shape, values });
  const built = buildCase(
    {
      ...spec,
      attributes: { num_heads: 1 },
      inputs: [
        ...[one([1, 1, 2], 0.5, -1), one([2], 0.25, 0.5), one([1, 1, 1, 1], 3)],
        ...[one([2, 4], 1, 0, 0, 2, 0, 1, -1, 0), one([4], 0, 0.5, 0.25, 0), one([1, 1, 1, 1], 0.8)],
      ],
    },
    "static",
  );
  // q = (0.75, -0.5); q weight + bias = (0.75, 0, 0.75, 1.5), summed in halves to 0.75 and 2.25.
  const [update, reset] = [1 / (1 + Math.exp(-0.75)), 1 / (1 + Math.exp(-2.25))];
  expect(evaluateCase(built)[0]?.numbers[0]).toBeCloseTo((update * (reset * 0.8 - 1) + 2) * 3, 5);
});
