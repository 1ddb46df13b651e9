/** Layers that read a sequence in linear time with a state: CausalConvWithState and LinearAttention. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { type Dim, floorDivDims, mulDims, subDims, unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { defineOp } from "../define.ts";
import { dimOf, dtypeOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { type LinearAttentionOperands, linearAttention } from "../kernels/linear-attention.ts";
import { requireAttribute, requireOneOf } from "../kernels/require-attribute.ts";
import { requireSizes } from "../kernels/require-sizes.ts";
import { shapeVector, sizeAt } from "../kernels/shape-vector.ts";
import { swish } from "../kernels/swish.ts";
import { counts, float, int, maybeInt, text } from "../params.ts";

export const CausalConvWithState = defineOp({
  type: "CausalConvWithState",
  versions: [27],
  inputs: ["x", "w", "bias?", "past?"],
  ranks: { x: 3, w: 3, bias: 1, past: 3 },
  outputs: ["y", "present"],
  attributes: { activation: text("none") },
  infer: ({ node, in: { x, w, bias, past }, attrs: { activation } }) => {
    const width = w.tensorType?.shape?.[2];
    requireSizes(
      node,
      {
        x: [x.tensorType?.shape, "batch channels length"],
        w: [w.tensorType?.shape, "channels one width"],
        bias: [bias?.tensorType?.shape, "channels"],
        past: [past?.tensorType?.shape, "batch channels before"],
      },
      { one: 1, before: typeof width === "number" ? width - 1 : undefined },
    );
    requireOneOf(node, "activation", activation, ["none", "silu", "swish"]);
    const type = x.tensorType;
    const [batch = unknownDim(), channels = unknownDim()] = type?.shape ?? [];
    const state = subDims(width ?? unknownDim(), 1);
    return type === undefined ? [] : [type, tensorType(type.dtype, [batch, channels, state])];
  },
  evaluate: byExpansion,
  precision: "low",
  // A Conv of each channel alone over the past and the present.
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, w, bias, past }, attrs: { activation }, b }) => {
      const [channels, width] = [dimOf(w, 0), dimOf(w, 2)];
      if (typeof channels !== "number" || typeof width !== "number")
        throw operatorErrors.E_UNKNOWN_SIZE(node, "the number of channels and the width of the kernel");
      const state = [sizeAt(x, 0), channels, width - 1];
      const before = past ?? b.expand(b.scalar(0, dtypeOf(x)), shapeVector(b, state));
      const whole = b.concat([before, x], 2);
      const y = b.op("Conv", [whole, w, bias ?? null], { group: channels });
      const active = activation === "none" ? y : swish(b, y, 1);
      const first = b.unsqueeze(b.dim(x, 2), [0]);
      return [active, b.op("Slice", [whole, first, b.ints([Number.MAX_SAFE_INTEGER]), b.ints([2])])];
    },
  },
});

export const LinearAttention = defineOp({
  type: "LinearAttention",
  versions: [27],
  inputs: ["q", "k", "v", "past?", "decay?", "beta?"],
  ranks: { q: 3, k: 3, v: 3, past: 4, decay: 3, beta: 3 },
  outputs: ["y", "present"],
  attributes: {
    q_num_heads: maybeInt(counts),
    kv_num_heads: maybeInt(counts),
    scale: float(0),
    update_rule: text("gated_delta"),
    // Only a hint of how to compute.
    chunk_size: int(64, counts),
  },
  infer: ({ node, in: { q, k, v, past, decay, beta }, attrs }) => {
    const type = q.tensorType;
    if (type === undefined) return [];
    const heads = requireAttribute(node, "kv_num_heads", attrs.kv_num_heads);
    const queryHeads = requireAttribute(node, "q_num_heads", attrs.q_num_heads);
    requireHeads(node, { q, k, v, past, decay, beta }, heads, queryHeads);
    const [batch = unknownDim(), length = unknownDim()] = type.shape ?? [];
    const perHead = (width: typeof k) => floorDivDims(width.tensorType?.shape?.[2] ?? unknownDim(), heads);
    const [keys, values] = [perHead(k), perHead(v)];
    const wide = mulDims(values, queryHeads);
    return [
      tensorType(type.dtype, [batch, length, wide]),
      tensorType(past?.tensorType?.dtype ?? type.dtype, [batch, heads, keys, values]),
    ];
  },
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs, b }) =>
      linearAttention(b, node, operands, {
        heads: requireAttribute(node, "kv_num_heads", attrs.kv_num_heads),
        queryHeads: requireAttribute(node, "q_num_heads", attrs.q_num_heads),
        scale: attrs.scale,
        rule: attrs.update_rule,
      }),
  },
});

/** Widths that the heads divide, of one batch and length. */
function requireHeads(
  node: Node,
  { q, k, v, past, decay, beta }: LinearAttentionOperands,
  heads: number,
  queryHeads: number,
): void {
  const perHead = (name: string, value: Value, count: number): Dim => {
    const width = value.tensorType?.shape?.[2] ?? unknownDim();
    if (typeof width === "number" && width % count !== 0)
      throw operatorErrors.E_BAD_OPERAND(node, name, `a width that ${count} heads divide`, `${width}`);
    return floorDivDims(width, count);
  };
  const size = perHead("k", k, heads);
  requireSizes(
    node,
    {
      q: [q.tensorType?.shape, "batch length queries"],
      k: [k.tensorType?.shape, "batch length _"],
      v: [v.tensorType?.shape, "batch length _"],
      past: [past?.tensorType?.shape, "batch heads size width"],
      decay: [decay?.tensorType?.shape, "batch length _"],
      beta: [beta?.tensorType?.shape, "batch length _"],
    },
    { heads, size, width: perHead("v", v, heads), queries: mulDims(size, queryHeads) },
  );
}
