/** Attention of com.microsoft: packed weights, masks in all forms, the past. */
import { expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import type { OpCase, OperandSpec } from "../harness/op-case.ts";

const x: OperandSpec = { shape: [2, 3, 6] };
const weights: OperandSpec = { shape: [6, 24], range: [-0.6, 0.6], constant: true };
const biases: OperandSpec = { shape: [24] };
const attributes = { num_heads: 2 };
const spec: OpCase = { op: "Attention", domain: "com.microsoft", attributes, inputs: [x, weights, biases] };
const whole = (shape: readonly number[], values: readonly number[]): OperandSpec => ({
  shape,
  values,
  dtype: "int32",
});
const near = { ...attributes, mask_filter_value: float(-2) };

checkOp("weights and biases", spec);
checkOp(
  "weights that are an input",
  { ...spec, inputs: [x, { ...weights, constant: false }, biases] },
  { namings: ["static"] },
);
checkOp(
  "no biases",
  { ...spec, inputs: [x, weights] },
  { noRuntime: "the CPU kernel of 1.30 dies where there are no biases" },
);
checkOp("one more result", { ...spec, outputs: 2 });
checkOp("scale", { ...spec, attributes: { ...attributes, scale: float(0.3) } });
checkOp("unidirectional", { ...spec, attributes: { ...attributes, unidirectional: 1 } });
checkOp("narrower queries and keys", {
  ...spec,
  attributes: { ...attributes, qkv_hidden_sizes: [4, 4, 16] },
});

const masks = {
  lengths: whole([2], [3, 2]),
  "ends and starts": whole([4], [3, 2, 1, 0]),
  "keys by sequence": whole([2, 3], [1, 0, 1, 0, 1, 1]),
  "keys by query": { shape: [2, 3, 3], dtype: "int32", range: [0, 1] } as const,
};
for (const [what, mask] of Object.entries(masks)) {
  for (const unidirectional of [0, 1]) {
    checkOp(
      `${what}, unidirectional ${unidirectional}`,
      { ...spec, attributes: { ...near, unidirectional }, inputs: [x, weights, biases, mask] },
      { namings: mask.shape[0] === 4 ? ["static"] : ["static", "shared"] },
    );
  }
}
checkOp("the default filter", { ...spec, inputs: [x, weights, biases, whole([2], [3, 2])] });
checkOp(
  "lengths and offsets",
  { ...spec, attributes: near, inputs: [x, weights, biases, whole([8], [3, 2, 0, 3, 6, 0, 3, 6])] },
  { namings: ["static"] },
);
checkOp(
  "a square of all positions",
  {
    ...spec,
    attributes: near,
    inputs: [x, weights, biases, { shape: [2, 1, 5, 5], dtype: "int32", range: [0, 1] }],
  },
  { noRuntime: "the CPU kernel does not take masks of four axes" },
);
checkOp("a bias", { ...spec, inputs: [x, weights, biases, null, null, { shape: [1, 2, 3, 3] }] });

const past: OperandSpec = { shape: [2, 2, 2, 2, 4] };
for (const unidirectional of [0, 1]) {
  checkOp(`the past, unidirectional ${unidirectional}`, {
    ...spec,
    attributes: { ...attributes, unidirectional },
    outputs: 2,
    inputs: [x, weights, biases, null, past],
  });
}
checkOp("the past and a mask", {
  ...spec,
  attributes: { ...near, unidirectional: 1 },
  outputs: 2,
  inputs: [x, weights, biases, whole([2, 5], [1, 0, 1, 1, 1, 0, 1, 1, 0, 1]), past],
});
checkOp(
  "the past and a square of all positions",
  {
    ...spec,
    attributes: near,
    outputs: 2,
    inputs: [x, weights, biases, { shape: [2, 1, 6, 6], dtype: "int32", range: [0, 1] }, past],
  },
  { noRuntime: "the CPU kernel does not take masks of four axes" },
);

test.each([
  ["rotary positions", { do_rotary: 1 }, /rotary/],
  ["a shared buffer", { past_present_share_buffer: 1 }, /one buffer/],
])("%s inside is refused", (_, more, message) => {
  expect(() => buildBackward({ ...spec, attributes: { ...attributes, ...more } }, "static")).toThrow(message);
});
