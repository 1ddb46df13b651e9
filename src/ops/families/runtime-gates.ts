/** Gates of com.microsoft that recent models are fused to: GatedAdd, GatedRMSNorm, LinearAttentionGate, EngramGate. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf, dtypeOf, rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { requireShape } from "../kernels/require-shape.ts";
import { normalizedAgain } from "../kernels/standardize.ts";
import { float } from "../params.ts";

const domain = "com.microsoft";
const versions = [1];

export const GatedAdd = defineOp({
  type: "GatedAdd",
  domain,
  versions,
  inputs: ["x", "y", "gate"],
  outputs: ["z"],
  attributes: {},
  infer: ({ in: { x } }) => [x.type],
  evaluate: byExpansion,
  precision: "follow",
  gradient: { kind: "expand", rule: ({ in: { x, y, gate }, b }) => [b.add(x, b.mul(y, gate))] },
});

/** RMS normalization of each head, times `silu(gate)`. */
export const GatedRMSNorm = defineOp({
  type: "GatedRMSNorm",
  domain,
  versions,
  inputs: ["x", "scale", "gate"],
  ranks: { x: [1], scale: 1, gate: [1] },
  outputs: ["y"],
  attributes: { epsilon: float(1e-5) },
  infer: ({ node, in: { x, scale, gate } }) => {
    const [width, size] = [x.tensorType?.shape?.at(-1), scale.tensorType?.shape?.[0]];
    requireShape(node, "gate", gate, x.tensorType?.shape);
    if (size === 0 || (typeof width === "number" && typeof size === "number" && width % size !== 0))
      throw operatorErrors.E_BAD_OPERAND(
        node,
        "scale",
        `a length that divides ${width ?? "the width"}`,
        `${size}`,
      );
    return [x.type];
  },
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, scale, gate }, attrs: { epsilon }, b }) => {
      const size = dimOf(scale, 0);
      if (typeof size !== "number") throw operatorErrors.E_UNKNOWN_SIZE(node, "the length of its scale");
      const rank = rankOf(x);
      // The last axis in heads of `size` channels.
      const heads = b.reshape(x, [...new Array<number>(rank - 1).fill(0), -1, size]);
      const { hat } = normalizedAgain(b, heads, { axes: [rank], epsilon, centered: false });
      const normed = b.reshape(b.mul(hat, b.cast(scale, dtypeOf(hat))), b.shape(x));
      const wide = b.cast(gate, dtypeOf(hat));
      return [b.castLike(b.mul(normed, b.mul(wide, b.op("Sigmoid", [wide]))), x)];
    },
  },
});

/** `decay = scale * softplus(a + bias)`, `beta = sigmoid(b)`. */
export const LinearAttentionGate = defineOp({
  type: "LinearAttentionGate",
  domain,
  versions,
  inputs: ["a", "bias", "scale", "rate?"],
  outputs: ["decay", "beta?"],
  attributes: {},
  infer: ({ in: { a } }) => [a.type, a.type],
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { a, bias, scale, rate }, b }) => {
      const sum = b.add(b.castLike(a, bias), bias);
      const decay = b.castLike(b.mul(scale, b.op("Softplus", [sum])), a);
      const beta = node.outputs[1] == null || rate === undefined ? null : b.op("Sigmoid", [rate]);
      return [decay, beta];
    },
  },
});

/** Values times `sigmoid(sign(d) sqrt(max(|d|, 1e-6)))`, where `d` is the product of normalized keys and queries. */
export const EngramGate = defineOp({
  type: "EngramGate",
  domain,
  versions,
  inputs: ["key", "query", "value", "keyScale", "queryScale"],
  outputs: ["y"],
  attributes: { epsilon: float(1e-5) },
  infer: ({ in: { key } }) => [key.tensorType && tensorType(key.tensorType.dtype, key.tensorType.shape)],
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { key, query, value, keyScale, queryScale }, attrs: { epsilon }, b }) => {
      const size = dimOf(key, 3);
      if (typeof size !== "number") throw operatorErrors.E_UNKNOWN_SIZE(node, "the hidden size");
      const dtype = dtypeOf(key);
      const normed = (x: Value, scale: Value): Value => rms(b, x, scale, epsilon);
      const products = b.mul(normed(key, keyScale), normed(query, queryScale));
      const dot = b.mul(b.reduceSum(products, [3]), 1 / Math.sqrt(size));
      const root = b.mul(b.sign(dot), b.sqrt(b.max(b.abs(dot), 1e-6)));
      const gate = b.op("Sigmoid", [root]);
      return [b.cast(b.mul(gate, b.castLike(b.unsqueeze(value, [2]), gate)), dtype)];
    },
  },
});

function rms(b: OpBuilder, x: Value, scale: Value, epsilon: number): Value {
  const { hat } = normalizedAgain(b, x, { axes: [3], epsilon, centered: false });
  return b.mul(hat, b.castLike(scale, hat));
}
