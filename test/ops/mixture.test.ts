/** MoE of com.microsoft: activations, gates, biases, and gated layers. */
import { expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import type { OpCase, OperandSpec } from "../harness/op-case.ts";

// Three experts of width 6 for tokens of width 4; the router's numbers are far enough apart for one choice.
const x: OperandSpec = { shape: [5, 4], range: [-1, 1] };
const router: OperandSpec = {
  shape: [5, 3],
  values: [0.1, 0.9, -0.4, 1.2, -0.3, 0.5, -0.8, 0.2, 1.1, 0.6, -0.9, 0.05, 0.3, 1.4, -1.2],
};
const fc1: OperandSpec = { shape: [3, 6, 4], range: [-1, 1] };
const fc2: OperandSpec = { shape: [3, 4, 6], range: [-1, 1] };
const bias1: OperandSpec = { shape: [3, 6] };
const bias2: OperandSpec = { shape: [3, 4] };
const spec: OpCase = {
  op: "MoE",
  domain: "com.microsoft",
  attributes: { k: 2 },
  inputs: [x, router, fc1, bias1, fc2, bias2],
};
const fixed = { namings: ["static"] } as const;

for (const activation_type of ["relu", "gelu", "silu", "identity"]) {
  checkOp(activation_type, { ...spec, attributes: { k: 2, activation_type } }, fixed);
}
for (const k of [1, 2, 3]) {
  for (const normalize_routing_weights of [0, 1]) {
    const attributes = { k, normalize_routing_weights, activation_type: "silu" };
    checkOp(`${k} experts, gates normalized ${normalize_routing_weights}`, { ...spec, attributes }, fixed);
  }
}
checkOp(
  "no biases",
  { ...spec, attributes: { k: 1, activation_type: "gelu" }, inputs: [x, router, fc1, null, fc2] },
  fixed,
);
checkOp(
  "tokens of three axes",
  {
    ...spec,
    attributes: { k: 2, activation_type: "gelu" },
    inputs: [{ shape: [1, 5, 4], range: [-1, 1] }, router, fc1, bias1, fc2, bias2],
  },
  fixed,
);

const both: OperandSpec = { shape: [3, 12, 4], range: [-1, 1] };
const swiglu = { k: 2, activation_type: "swiglu", activation_alpha: float(1.702), activation_beta: float(1) };
checkOp(
  "a gate and a layer in turn",
  {
    ...spec,
    attributes: { ...swiglu, swiglu_fusion: 1, swiglu_limit: float(7) },
    inputs: [x, router, both, { shape: [3, 12] }, fc2, bias2],
  },
  fixed,
);

checkOp(
  "a gate and a layer behind each other",
  {
    ...spec,
    attributes: { ...swiglu, swiglu_fusion: 2, swiglu_limit: float(0.5) },
    inputs: [x, router, both, { shape: [3, 12] }, fc2, bias2],
  },
  { ...fixed, noRuntime: "the CPU kernel takes gate and layer in turn only" },
);
checkOp(
  "a layer of its own that gates",
  {
    ...spec,
    attributes: { k: 2, activation_type: "silu" },
    inputs: [x, router, fc1, bias1, fc2, bias2, fc1, bias1],
  },
  { ...fixed, noRuntime: "the CPU kernel has no third layer" },
);
test.each([
  ["a sparse mixer", { use_sparse_mixer: 1 }, /sparse mixer/],
  ["swiglu of one layer", { activation_type: "swiglu" }, /swiglu/],
  ["another activation", { activation_type: "mish" }, /activation_type/],
] as const)("%s is refused", (_, attributes, message) => {
  expect(() => buildBackward({ ...spec, attributes }, "static")).toThrow(message);
});
