/** Operators of com.microsoft that add a bias first: BiasAdd, BiasDropout, BiasSoftmax. */
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { int, maybeInt } from "../params.ts";

const domain = "com.microsoft";
const versions = [1];

export const BiasAdd = defineOp({
  type: "BiasAdd",
  domain,
  versions,
  inputs: ["x", "bias", "skip"],
  ranks: { bias: 1 },
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => [x.type],
  evaluate: byExpansion,
  precision: "follow",
  gradient: { kind: "expand", rule: ({ in: { x, bias, skip }, b }) => [b.add(b.add(x, bias), skip)] },
});

/** Dropout of `data + bias`, plus a residual. */
export const BiasDropout = defineOp({
  type: "BiasDropout",
  domain,
  versions,
  inputs: ["data", "bias", "residual?", "ratio?", "training_mode?"],
  ranks: { bias: 1, ratio: [0, 1], training_mode: [0, 1] },
  outputs: ["y", "mask?"],
  attributes: { seed: maybeInt() },
  infer: ({ in: { data } }) => [data.type, tensorType("bool", data.tensorType?.shape)],
  evaluate: byExpansion,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { data, bias, residual, ratio, training_mode }, attrs: { seed }, b }) => {
      const sum = b.add(data, bias);
      const operands = [sum, ratio ?? null, training_mode ?? null];
      const [kept = sum, mask = null] = b.ops("Dropout", operands, { seed }, 2);
      return [residual === undefined ? kept : b.add(kept, residual), mask];
    },
  },
  hostInputs: ["ratio", "training_mode"],
});

/** Softmax of `data + bias` over all axes from `axis` on together; the bias broadcasts as in Add. */
export const BiasSoftmax = defineOp({
  type: "BiasSoftmax",
  domain,
  versions,
  inputs: ["data", "bias"],
  outputs: ["y"],
  attributes: { axis: int(1), is_inner_broadcast: int(0) },
  infer: ({ in: { data } }) => [data.type],
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { data, bias }, attrs: { axis }, b }) => {
      const sum = b.add(data, bias);
      const first = axisOf(node, axis, rankOf(data));
      if (first === rankOf(data) - 1) return [b.op("Softmax", [sum], { axis: -1 })];
      const rows = b.op("Flatten", [sum], { axis: first });
      return [b.reshape(b.op("Softmax", [rows], { axis: -1 }), b.shape(data))];
    },
  },
});
