/** Activations of com.microsoft as the runtime's optimizer writes them: Gelu, FastGelu, QuickGelu, BiasGelu, BiasSplitGelu. */
import { floorDivDims } from "../../ir/dim.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { partsOfElements } from "../kernels/parts.ts";
import { float } from "../params.ts";

const domain = "com.microsoft";
const versions = [1];

export const RuntimeGelu = defineOp({
  type: "Gelu",
  domain,
  versions,
  inputs: ["x"],
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => [x.type],
  evaluate: byExpansion,
  parts: partsOfElements,
  precision: "follow",
  gradient: { kind: "expand", rule: ({ in: { x }, b }) => [b.op("Gelu", [x])] },
});

export const BiasGelu = defineOp({
  type: "BiasGelu",
  domain,
  versions,
  inputs: ["x", "bias"],
  ranks: { bias: 1 },
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { x, bias } }) => [inferBroadcast(node, [x, bias])],
  evaluate: byExpansion,
  parts: partsOfElements,
  precision: "follow",
  gradient: { kind: "expand", rule: ({ in: { x, bias }, b }) => [b.op("Gelu", [b.add(x, bias)])] },
});

export const FastGelu = defineOp({
  type: "FastGelu",
  domain,
  versions,
  inputs: ["x", "bias?"],
  ranks: { bias: 1 },
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => [x.type],
  evaluate: byExpansion,
  parts: partsOfElements,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, bias }, b }) => [
      b.op("Gelu", [bias === undefined ? x : b.add(x, bias)], { approximate: "tanh" }),
    ],
  },
});

export const QuickGelu = defineOp({
  type: "QuickGelu",
  domain,
  versions,
  inputs: ["x"],
  outputs: ["y"],
  attributes: { alpha: float(1.702) },
  infer: ({ in: { x } }) => [x.type],
  evaluate: byExpansion,
  parts: partsOfElements,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { x }, attrs: { alpha }, b }) => [b.mul(x, b.op("Sigmoid", [b.mul(x, alpha)]))],
  },
});

/** The last axis of `x + bias` in two halves: the left one times Gelu of the right one. */
export const BiasSplitGelu = defineOp({
  type: "BiasSplitGelu",
  domain,
  versions,
  inputs: ["x", "bias"],
  ranks: { bias: 1 },
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => {
    const [type, shape] = [x.tensorType, x.tensorType?.shape];
    const halved = shape?.map((dim, axis) => (axis === shape.length - 1 ? floorDivDims(dim, 2) : dim));
    return [type && tensorType(type.dtype, halved)];
  },
  evaluate: byExpansion,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, bias }, b }) => {
      const sum = b.add(x, bias);
      const [left = sum, right = sum] = b.ops("Split", [sum], { axis: rankOf(x) - 1, num_outputs: 2 }, 2);
      return [b.mul(left, b.op("Gelu", [right]))];
    },
  },
});
