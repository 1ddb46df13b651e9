/** SVMClassifier: its decomposition against the runtime's kernel, and the decomposition's gradient. */
import { expect, test } from "vitest";
import type { AttributeLike } from "../../src/ir/attribute.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { opOf } from "../../src/ops/registry.ts";
import { checkGradient } from "../harness/check-op.ts";
import { difference } from "../harness/compare.ts";
import { type BuiltCase, buildCase, type OpCase } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";

const floats = (...value: number[]): AttributeLike => ({ kind: "floats", value });
const vectors = floats(1, 0, 2, 0.5, -1, 1, -1, 2, 0, 0.3, 0.3, 0.3);
const two = {
  vectors_per_class: [2, 2],
  coefficients: floats(0.3, -0.7, 0.2, 0.4),
  rho: floats(0.1),
  support_vectors: vectors,
  classlabels_ints: [3, 8],
};
const three = {
  vectors_per_class: [2, 1, 1],
  coefficients: floats(0.3, -0.7, 0.2, 0.4, 0.1, 0.5, -0.6, 0.2),
  rho: floats(0.1, 0.2, -0.3),
  support_vectors: vectors,
  classlabels_ints: [3, 8, 9],
};
const params = { kernel_params: floats(0.5, 0.1, 2) };
const lines = {
  ...params,
  coefficients: floats(0.3, -0.7, 0.2, 0.1, 0.5, -0.6),
  rho: floats(0.1),
  classlabels_ints: [3, 8],
};

const cases: readonly Readonly<Record<string, AttributeLike>>[] = [
  ...["LINEAR", "POLY", "RBF", "SIGMOID"].map((kernel_type) => ({ ...three, ...params, kernel_type })),
  ...["LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"].flatMap((post_transform) => [
    { ...three, ...params, kernel_type: "RBF", post_transform },
    { ...two, ...params, kernel_type: "RBF", post_transform },
    { ...lines, post_transform },
  ]),
  { ...two, ...params, kernel_type: "RBF" },
  lines,
];

const specOf = (attributes: Readonly<Record<string, AttributeLike>>): OpCase => ({
  op: "SVMClassifier",
  domain: "ai.onnx.ml",
  inputs: [{ shape: [4, 3] }],
  attributes,
  outputs: 2,
});

/** The case with the scores of the decomposition as its only output. */
function decomposed(spec: OpCase): BuiltCase {
  const built = buildCase(spec, "static");
  const { graph } = built.model;
  const node = graph.last;
  if (node === undefined) throw new Error("the case has no node");
  const [, scores] = opOf(node)?.expand(node, new OpBuilder({ graph, before: node }, built.opset)) ?? [];
  if (scores == null) throw new Error("there are no scores");
  scores.name = "scores";
  graph.setOutputs([scores]);
  for (let at = graph.last; at !== undefined; ) {
    const { previous } = at;
    if (at.outputs.every((output) => output?.isUsed !== true)) graph.remove(at);
    at = previous;
  }
  return { ...built, outputs: [scores] };
}

test.each(cases.map((attributes) => [JSON.stringify(attributes), attributes] as const))(
  "%s",
  async (_, attributes) => {
    const spec = specOf(attributes);
    const native = buildCase(spec, "static");
    const [, wanted] = await runModel(native.model, native.feeds);
    const ours = decomposed(spec);
    const [got] = await runModel(ours.model, ours.feeds);
    if (wanted === undefined || got === undefined) throw new Error("scores are missing");
    expect(difference(got, wanted, runtimeTolerance("float32"))).toBeUndefined();
    expect(native.outputs[1]?.tensorType?.shape).toEqual(wanted.shape);
    checkGradient(() => decomposed(spec));
  },
);

test.each([
  ["prob_a", { ...three, ...params, kernel_type: "RBF", prob_a: floats(1, 2, 3), prob_b: floats(0, 0, 0) }],
  ["post_transform", { ...two, ...params, kernel_type: "RBF", post_transform: "PROBIT" }],
] as const)("a %s without a formula is refused", (name, attributes) => {
  expect(() => decomposed(specOf(attributes))).toThrow(
    expect.objectContaining({ code: "E_BAD_ATTRIBUTE", message: expect.stringContaining(name) }),
  );
});
