/** Activations that the runtime's optimizer writes, and the biases and dropouts that it fuses. */
import { expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { lookupOp } from "../../src/ops/registry.ts";
import { checkOp } from "../harness/check-op.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const domain = "com.microsoft";
const matrix: OperandSpec = { shape: [3, 6] };
const vector: OperandSpec = { shape: [6] };
const cudaOnly = { noRuntime: "only the CUDA provider has a kernel" };

for (const op of ["Gelu", "FastGelu", "QuickGelu"]) {
  checkOp("a matrix", { op, domain, inputs: [matrix] });
  checkOp("no elements", { op, domain, inputs: [{ shape: [0, 6] }] });
}
for (const op of ["FastGelu", "BiasGelu"]) checkOp("a bias", { op, domain, inputs: [matrix, vector] });
checkOp("alpha", { op: "QuickGelu", domain, attributes: { alpha: float(0.7) }, inputs: [matrix] });

checkOp("halves", { op: "BiasSplitGelu", domain, inputs: [{ shape: [2, 3, 6] }, vector] }, cudaOnly);
checkOp("bias and residual", { op: "BiasAdd", domain, inputs: [matrix, vector, matrix] }, cudaOnly);
for (const [what, residual] of [
  ["a residual", matrix],
  ["no residual", null],
] as const) {
  const inputs = [matrix, vector, residual];
  checkOp(what, { op: "BiasDropout", domain, outputs: 2, inputs }, cudaOnly);
}
checkOp(
  "the last axis",
  {
    op: "BiasSoftmax",
    domain,
    attributes: { axis: 3, is_inner_broadcast: 0 },
    inputs: [{ shape: [2, 2, 3, 4] }, { shape: [2, 1, 1, 4] }],
  },
  cudaOnly,
);
checkOp(
  "two axes together",
  {
    op: "BiasSoftmax",
    domain,
    attributes: { axis: -2, is_inner_broadcast: 1 },
    inputs: [{ shape: [2, 3, 4] }, { shape: [1, 3, 4] }],
  },
  cudaOnly,
);

test.each([
  ["Gelu", ["x"]],
  ["QuickGelu", ["x"]],
  ["FastGelu", ["x", "bias"]],
  ["BiasGelu", ["x", "bias"]],
])("%s takes the operands of its schema", (type, names) => {
  expect(lookupOp(domain, type)?.inputs.map(({ name }) => name)).toEqual(names);
});
