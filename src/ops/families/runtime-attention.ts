/** Attention of com.microsoft, whose weights for queries, keys and values are one matrix. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { addDims, type Dim, floorDivDims, subDims } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { mergeHeads, splitHeads } from "../kernels/heads.ts";
import { attendMasked } from "../kernels/masked-attention.ts";
import { float, int, ints } from "../params.ts";

export const RuntimeAttention = defineOp({
  type: "Attention",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["x", "weights", "biases?", "mask?", "past?", "bias?", "pastLength?"],
  outputs: ["y", "present?"],
  attributes: {
    do_rotary: int(0),
    mask_filter_value: float(-10000),
    num_heads: int(0),
    past_present_share_buffer: int(0),
    qkv_hidden_sizes: ints(),
    rotary_embedding_dim: int(0),
    scale: float(0),
    unidirectional: int(0),
  },
  infer: ({ in: { x, weights, past }, attrs }) => {
    const [type, shape] = [x.tensorType, x.tensorType?.shape];
    const width = weights.tensorType?.shape?.[1];
    if (type === undefined) return [];
    const [batch, length] = shape ?? [];
    if (batch === undefined || length === undefined || width === undefined)
      return [tensorType(type.dtype), tensorType(type.dtype)];
    const [, keys, values] = widths(width, attrs.qkv_hidden_sizes);
    const size = floorDivDims(keys, attrs.num_heads);
    const before = past?.tensorType?.shape?.[3];
    const total = before === undefined ? length : addDims(before, length);
    return [
      tensorType(type.dtype, [batch, length, values]),
      tensorType(type.dtype, [2, batch, attrs.num_heads, total, size]),
    ];
  },
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, weights, biases, mask, past, bias, pastLength }, attrs, b }) => {
      if (attrs.past_present_share_buffer !== 0 || pastLength !== undefined)
        throw operatorErrors.E_OPERATOR_FORM(
          node,
          "a past and present in one buffer",
          "buffers of their own",
        );
      if (attrs.do_rotary !== 0)
        throw operatorErrors.E_OPERATOR_FORM(node, "rotary positions inside", "a node of its own for them");
      const [q, newKey, newValue] = project(b, node, { x, weights, biases }, attrs);
      const old = (index: number): Value[] => (past === undefined ? [] : [b.gather(past, b.int(index))]);
      const key = b.concat([...old(0), newKey], 2);
      const value = b.concat([...old(1), newValue], 2);
      const before = past === undefined ? undefined : b.dim(past, 3);
      const { heads } = attendMasked(
        b,
        node,
        { q, key, value, before, mask, bias },
        { causal: attrs.unidirectional === 1, filter: attrs.mask_filter_value, scale: attrs.scale },
      );
      const present =
        node.outputs[1] == null ? null : b.concat([b.unsqueeze(key, [0]), b.unsqueeze(value, [0])], 0);
      return [mergeHeads(b, heads, attrs.num_heads), present];
    },
  },
});

interface Projection {
  readonly x: Value;
  readonly weights: Value;
  readonly biases: Value | undefined;
}

/** Heads of queries, keys and values, by one product. */
function project(
  b: OpBuilder,
  node: Node,
  { x, weights, biases }: Projection,
  attrs: { readonly num_heads: number; readonly qkv_hidden_sizes: readonly number[] | undefined },
): [Value, Value, Value] {
  const width = dimOf(weights, 1);
  if (typeof width !== "number") throw operatorErrors.E_UNKNOWN_SIZE(node, "the width of its weights");
  const product = b.matmul(x, weights);
  const sum = biases === undefined ? product : b.add(product, biases);
  const sizes = widths(width, attrs.qkv_hidden_sizes).map(Number);
  const parts = b.node("Split", [sum, b.ints(sizes)], { axis: 2 }, { outputs: 3 });
  const [q, key, value] = [0, 1, 2].map((index) => splitHeads(b, parts.output(index), attrs.num_heads));
  return [q ?? sum, key ?? sum, value ?? sum];
}

/** Widths of queries, keys and values. */
function widths(width: Dim, sizes: readonly number[] | undefined): [Dim, Dim, Dim] {
  const third = floorDivDims(width, 3);
  const [q = third, key = third] = sizes ?? [];
  return [q, key, subDims(subDims(width, q), key)];
}
