/** MoE of com.microsoft: activations, gates, biases, and gated layers. */
import { describe, expect, test } from "vitest";
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

describe("QMoE", () => {
  // Numbers of 8 bits near their zero point, so that sums do not cancel more than those of 4 bits.
  const bytes = (bits: number, ...shape: readonly number[]): OperandSpec => ({
    shape,
    dtype: "uint8",
    range: bits === 4 ? [0, 255] : [120, 136],
    constant: true,
  });
  const scales = (...shape: readonly number[]): OperandSpec => ({ shape, range: [0.02, 0.1] });
  const wide: OperandSpec = { shape: [5, 32], range: [-1, 1] };
  const attributes = { k: 2, normalize_routing_weights: 1, activation_type: "silu" };
  const biases = [{ shape: [3, 16] }, { shape: [3, 32] }] as const;
  const packed = (bits: number): OpCase => ({
    op: "QMoE",
    domain: "com.microsoft",
    attributes: { ...attributes, expert_weight_bits: bits },
    inputs: [
      ...[wide, router, bytes(bits, 3, 16, 4 * bits), scales(3, 16), biases[0]],
      ...[bytes(bits, 3, 32, 2 * bits), scales(3, 32), biases[1]],
    ],
  });
  const blocks: OpCase = {
    ...packed(4),
    attributes: { ...attributes, block_size: 16 },
    inputs: [
      ...[wide, router, bytes(4, 3, 16, 16), scales(3, 16, 2), null],
      ...[bytes(4, 3, 32, 8), scales(3, 32, 1), null],
    ],
  };
  checkOp("4 bits", packed(4), fixed);
  checkOp("8 bits", packed(8), fixed);
  checkOp("blocks, no biases", blocks, fixed);
  checkOp(
    "zero points, and gates of their own",
    {
      ...packed(8),
      inputs: [
        ...[...packed(8).inputs, null, null, null],
        ...[bytes(8, 3, 16), bytes(8, 3, 32), null, { shape: [5, 3], range: [0.2, 1] } as const],
      ],
    },
    { ...fixed, noRuntime: "the kernel's answer to gates of their own is not compared" },
  );
  test.each([
    ["gates as they are", { normalize_routing_weights: 0 }, /not normalized/],
    ["floats of 4 bits", { quant_type: "fp4" }, /fp4/],
    ["the order of a GPU", { weights_prepacked: 1 }, /order of a GPU/],
  ] as const)("%s are refused", (_, changed, message) => {
    expect(() =>
      buildBackward({ ...packed(4), attributes: { ...attributes, ...changed } }, "static"),
    ).toThrow(message);
  });
});
