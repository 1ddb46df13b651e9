/** Operators that nothing is differentiated through say so, with their reason, and stay as they are otherwise. */
import { expect, test } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.ts";
import { lookupOp } from "../../src/ops/registry.ts";
import { parseModel } from "../../src/text/parse.ts";

const names = [
  ...["BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch", "DecoderMaskedMultiHeadAttention"],
  ...[
    "DecoderMaskedSelfAttention",
    "PagedAttention",
    "SparseAttention",
    "LongformerAttention",
    "DecoderAttention",
  ],
  ...["QOrderedMatMul", "EPContext", "Snpe"],
];

test.each(names)("%s is refused on the way of a gradient", (name) => {
  const model = parseModel(`
    <ir_version: 10, opset_import: ["" : 20, "com.microsoft" : 1]>
    f (float[2,3] x, float[2,3] g) => (float[2,3] y) { y = com.microsoft.${name} (x) }`);
  const { graph } = model;
  const [x, gradient, y] = [graph.inputs[0], graph.inputs[1], graph.outputs[0]];
  if (x === undefined || gradient === undefined || y === undefined) throw new Error("no ports");
  const reason = lookupOp("com.microsoft", name)?.gradient.reason ?? "none";
  expect(() => differentiate(graph, [{ value: y, gradient }], [x], 20)).toThrow(reason);
});
