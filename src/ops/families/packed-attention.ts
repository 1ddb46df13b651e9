/** Operators of com.microsoft on tokens without padding: RemovePadding, RestorePadding, PackedAttention and its sister. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { addDims, type Dim, mulDims, unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf, dtypeOf, rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { countTo, mergeHeads, splitHeads } from "../kernels/heads.ts";
import { attendMasked } from "../kernels/masked-attention.ts";
import { amounts, counts, float, int, ints } from "../params.ts";

const domain = "com.microsoft";
const versions = [1];

/** `x [batch, length, width]` without the padding on the right of its sequences, and how to put it back. */
export const RemovePadding = defineOp({
  type: "RemovePadding",
  domain,
  versions,
  inputs: ["x", "counts"],
  ranks: { x: 3, counts: 1 },
  outputs: ["y", "offsets", "ends", "longest"],
  attributes: {},
  infer: ({ in: { x } }) => {
    const [type, shape] = [x.tensorType, x.tensorType?.shape];
    const [batch = unknownDim(), length = unknownDim(), width = unknownDim()] = shape ?? [];
    return [
      type && tensorType(type.dtype, [unknownDim(), width]),
      tensorType("int32", [batch, length]),
      tensorType("int32", [addDims(batch, 1)]),
      tensorType("int32", [1]),
    ];
  },
  evaluate: byExpansion,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, counts }, b }) => {
      const kept = b.less(countTo(b, b.dim(x, 1)), b.unsqueeze(b.cast(counts, "int64"), [1]));
      const places = (flags: Value): Value => b.reshape(b.op("NonZero", [b.reshape(flags, [-1])]), [-1]);
      const tokens = places(kept);
      const order = b.concat([tokens, places(b.not(kept))], 0);
      const shape = b.op("Shape", [x], { start: 0, end: 2 });
      const sums = b.op("CumSum", [b.cast(counts, "int32"), b.int(0)]);
      return [
        b.gather(rows(b, x), tokens),
        b.cast(b.reshape(order, shape), "int32"),
        b.concat([b.reshape(b.scalar(0, "int32"), [1]), sums], 0),
        b.reduceMax(b.cast(counts, "int32"), [0]),
      ];
    },
  },
});

/** The inverse of RemovePadding, with zeros for padding. */
export const RestorePadding = defineOp({
  type: "RestorePadding",
  domain,
  versions,
  inputs: ["x", "offsets"],
  ranks: { x: 2, offsets: 2 },
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x, offsets } }) => {
    const [type, width] = [x.tensorType, x.tensorType?.shape?.[1] ?? unknownDim()];
    const shape = offsets.tensorType?.shape;
    return [type && tensorType(type.dtype, shape && [...shape, width])];
  },
  evaluate: byExpansion,
  precision: "follow",
  gradient: { kind: "expand", rule: ({ in: { x, offsets }, b }) => [unpack(b, x, offsets)] },
});

export const PackedAttention = defineOp({
  type: "PackedAttention",
  domain,
  versions,
  inputs: ["x", "weights", "biases", "offsets", "ends", "bias?"],
  ranks: { x: 2, weights: 2, biases: 1, offsets: 2, ends: 1, bias: 4 },
  outputs: ["y"],
  attributes: { num_heads: int(0, amounts), qkv_hidden_sizes: ints(counts), scale: float(0) },
  infer: ({ in: { x, weights }, attrs: { qkv_hidden_sizes: sizes } }) => {
    const [type, tokens] = [x.tensorType, x.tensorType?.shape?.[0] ?? unknownDim()];
    const width = weights.tensorType?.shape?.[1];
    const last = sizes?.[2] ?? (typeof width === "number" ? width / 3 : unknownDim());
    return [type && tensorType(type.dtype, [tokens, last])];
  },
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, weights, biases, offsets, ends, bias }, attrs, b }) => {
      const width = dimOf(weights, 1);
      if (typeof width !== "number") throw operatorErrors.E_UNKNOWN_SIZE(node, "the width of its weights");
      const sizes = attrs.qkv_hidden_sizes ?? [width / 3, width / 3, width / 3];
      const parts = split(b, b.add(b.matmul(x, weights), biases), sizes);
      return [attendPacked(b, node, parts, { offsets, ends, bias }, attrs)];
    },
  },
});

export const PackedMultiHeadAttention = defineOp({
  type: "PackedMultiHeadAttention",
  domain,
  versions,
  inputs: ["query", "key?", "value?", "biases?", "offsets", "ends", "bias?"],
  ranks: { query: [2, 4], biases: 1, offsets: 2, ends: 1, bias: 4 },
  outputs: ["y"],
  attributes: { mask_filter_value: float(-10000), num_heads: int(0, amounts), scale: float(0) },
  infer: ({ in: { query, value } }) => {
    const [type, shape] = [query.tensorType, query.tensorType?.shape];
    const [tokens = unknownDim(), heads = unknownDim(), , size = unknownDim()] = shape ?? [];
    const width: Dim = value?.tensorType?.shape?.[1] ?? mulDims(heads, size);
    return [type && tensorType(type.dtype, [tokens, width])];
  },
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { query, key, value, biases, offsets, ends, bias }, attrs, b }) => {
      const parts =
        key === undefined || value === undefined
          ? // [tokens, heads, 3, size]
            [0, 1, 2].map((index) => b.reshape(b.gather(query, b.int(index), 2), [0, -1]))
          : [query, key, value];
      const shifted = biases === undefined ? parts : addBiases(b, node, parts, biases);
      return [attendPacked(b, node, shifted, { offsets, ends, bias }, attrs)];
    },
  },
});

interface Packing {
  readonly offsets: Value;
  readonly ends: Value;
  readonly bias: Value | undefined;
}

/** Attention of tokens within their sequences: unpacked, attended where no padding is, and packed again. */
function attendPacked(
  b: OpBuilder,
  node: Node,
  parts: readonly Value[],
  { offsets, ends, bias }: Packing,
  { num_heads, scale }: { readonly num_heads: number; readonly scale: number },
): Value {
  const heads = parts.map((part) => splitHeads(b, unpack(b, part, offsets), num_heads));
  const [q, key, value] = heads;
  const [packed] = parts;
  if (q === undefined || key === undefined || value === undefined || packed === undefined) {
    throw operatorErrors.E_OPERATOR_FORM(node, "less than three operands", "queries, keys and values");
  }
  const past = b.slice(ends, { starts: [0], ends: [-1], axes: [0] });
  const next = b.slice(ends, { starts: [1], ends: [2 ** 31 - 1], axes: [0] });
  const kept = b.less(countTo(b, b.dim(offsets, 1)), b.unsqueeze(b.cast(b.sub(next, past), "int64"), [1]));
  const result = attendMasked(
    b,
    node,
    { q, key, value, before: undefined, mask: b.cast(kept, "int32"), bias },
    { causal: false, filter: Number.NEGATIVE_INFINITY, scale },
  );
  const order = b.reshape(b.cast(offsets, "int64"), [-1]);
  const tokens = b.op("Slice", [order, b.ints([0]), b.unsqueeze(b.dim(packed, 0), [0]), b.ints([0])]);
  return b.gather(rows(b, mergeHeads(b, result.heads, num_heads)), tokens);
}

/** `[tokens, width]` at their places in `[batch, length, width]`, zeros elsewhere: tokens first, then a row of zeros. */
function unpack(b: OpBuilder, x: Value, offsets: Value): Value {
  const order = b.reshape(b.cast(offsets, "int64"), [-1]);
  const count = b.dim(x, 0);
  // The place of each row among the tokens is the inverse of the order, which sorting gives.
  const [, inverse = order] = b.ops(
    "TopK",
    [order, b.reshape(b.op("Size", [order]), [1])],
    { largest: 0 },
    2,
  );
  const source = b.min(inverse, count);
  const none = b.expand(
    b.scalar(0, dtypeOf(x)),
    b.concat([b.ints([1]), b.op("Shape", [x], { start: 1 })], 0),
  );
  const taken = b.gather(b.concat([x, none], 0), source);
  return b.reshape(taken, b.concat([b.shape(offsets), b.op("Shape", [x], { start: 1 })], 0));
}

/** `[batch, length, width]` as `[batch * length, width]`. */
function rows(b: OpBuilder, x: Value): Value {
  const width = dimOf(x, rankOf(x) - 1);
  if (typeof width === "number") return b.reshape(x, [-1, width]);
  return b.reshape(x, b.concat([b.ints([-1]), b.unsqueeze(b.dim(x, rankOf(x) - 1), [0])], 0));
}

function split(b: OpBuilder, x: Value, sizes: readonly number[]): Value[] {
  const parts = b.node("Split", [x, b.ints(sizes)], { axis: rankOf(x) - 1 }, { outputs: 3 });
  return [0, 1, 2].map((index) => parts.output(index));
}

function addBiases(b: OpBuilder, node: Node, parts: readonly Value[], biases: Value): Value[] {
  const sizes = parts.map((part) => {
    const width = dimOf(part, 1);
    if (typeof width === "number") return width;
    throw operatorErrors.E_UNKNOWN_SIZE(node, "the width of its operands");
  });
  return split(b, biases, sizes).map((bias, index) => b.add(parts[index] ?? bias, bias));
}
