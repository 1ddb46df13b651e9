/** Attention over several heads. */

import { operatorErrors } from "../../diagnostics/operator.ts";
import { addDims, type Dim, dimsDiffer, floorDivDims, mulDims } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf, rankOf } from "../facts.ts";
import { type AttentionOperands, type AttentionOptions, attend } from "../kernels/attention.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { partsOfFirstAxis } from "../kernels/parts.ts";
import { requireSizes } from "../kernels/require-sizes.ts";
import { amounts, float, int, maybeFloat } from "../params.ts";
import type { Inferred } from "../record.ts";

export const Attention = defineOp({
  type: "Attention",
  versions: [23, 24, 25],
  inputs: ["q", "k", "v", "mask?", "pastKey?", "pastValue?", "lengths?"],
  ranks: { q: [3, 4], k: [3, 4], v: [3, 4], mask: [0, 4], pastKey: 4, pastValue: 4, lengths: 1 },
  outputs: ["y", "key?", "value?", "scores?"],
  attributes: {
    is_causal: int(0),
    left_window_size: int(-1),
    right_window_size: int(-1),
    kv_num_heads: int(0, amounts),
    q_num_heads: int(0, amounts),
    qk_matmul_output_mode: int(0),
    scale: maybeFloat(),
    softcap: float(0),
    softmax_precision: int(0),
  },
  infer: ({ node, in: operands, attrs }) => {
    requireHeads(node, operands, attrs);
    return inferAttention(operands, attrs);
  },
  evaluate: byExpansion,
  parts: partsOfFirstAxis,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs, b }) => {
      const results = attend(b, operands, attrs);
      return node.outputs.map((output, index) => (output === null ? null : (results[index] ?? null)));
    },
  },
  upgrades: { 24: repeatMaskColumn },
});

/** Before version 24 a mask of one column was for all keys. */
function repeatMaskColumn(node: Node, b: OpBuilder): void {
  const [key, mask, past] = [node.input(1), node.input(3), node.input(4)];
  if (key === undefined || mask === undefined || dimsDiffer(dimOf(mask, -1), 1)) return;
  const fresh = b.dim(key, rankOf(key) - 2);
  const keys = past === undefined ? fresh : b.add(fresh, b.dim(past, 2));
  node.setInput(3, b.expand(mask, b.unsqueeze(keys, [0])));
}

/** One batch, keys as wide as queries, as many values as keys, and heads that divide evenly. */
function requireHeads(node: Node, operands: AttentionOperands, attrs: AttentionOptions): void {
  const [heads, shared] = [attrs.q_num_heads, attrs.kv_num_heads];
  const named = { q: "batch heads queries size", k: "batch shared keys size", v: "batch shared keys width" };
  const { q, k, v, pastKey, pastValue, lengths } = operands;
  const sized = Object.entries({ q, k, v }).map(([name, value]) => {
    const count = name === "q" ? heads : shared;
    const packed = value.tensorType?.shape?.length === 3;
    const width = value.tensorType?.shape?.[2];
    if (packed && (count < 1 || (typeof width === "number" && width % count !== 0)))
      throw operatorErrors.E_BAD_ATTRIBUTE(
        node,
        name === "q" ? "q_num_heads" : "kv_num_heads",
        `a number that divides the width of "${name}", ${width}`,
        `${count}`,
      );
    return packed ? headed(value, count) : value.tensorType?.shape;
  });
  const [first, second] = sized;
  const [of, over] = [first?.[1], second?.[1]];
  if (typeof of === "number" && typeof over === "number" && (over === 0 ? of !== 0 : of % over !== 0))
    throw operatorErrors.E_BAD_OPERAND(
      node,
      "k",
      `a number of heads that divides that of "q", ${of}`,
      `${over}`,
    );
  requireSizes(node, {
    ...Object.fromEntries(Object.entries(named).map(([name, axes], at) => [name, [sized[at], axes]])),
    pastKey: [pastKey?.tensorType?.shape, "batch shared past size"],
    pastValue: [pastValue?.tensorType?.shape, "batch shared past width"],
    lengths: [lengths?.tensorType?.shape, "batch"],
  });
}

function inferAttention(operands: AttentionOperands, attrs: AttentionOptions): Inferred[] {
  const type = operands.q.tensorType;
  if (type === undefined) return [];
  const [q, k, v] = [operands.q, operands.k, operands.v].map((x, index) =>
    headed(x, index === 0 ? attrs.q_num_heads : attrs.kv_num_heads),
  );
  if (q === undefined || k === undefined || v === undefined) {
    return [operands.q, operands.k, operands.v, operands.q].map(
      (x) => x.tensorType && tensorType(x.tensorType.dtype),
    );
  }
  const past = operands.pastKey?.tensorType?.shape?.[2];
  const grown = (length: Dim): Dim => (past === undefined ? length : addDims(past, length));
  const y = type.shape?.length === 3 ? [q[0], q[2], mulDims(q[1], v[3])] : [q[0], q[1], q[2], v[3]];
  return [
    tensorType(type.dtype, y),
    tensorType(operands.k.tensorType?.dtype ?? type.dtype, [k[0], k[1], grown(k[2]), k[3]]),
    tensorType(operands.v.tensorType?.dtype ?? type.dtype, [v[0], v[1], grown(v[2]), v[3]]),
    tensorType(type.dtype, [q[0], q[1], q[2], grown(k[2])]),
  ];
}

/** Batch, heads, length and channels of an operand. */
function headed(x: Value, count: number): readonly [Dim, Dim, Dim, Dim] | undefined {
  const [batch, second, third, fourth] = x.tensorType?.shape ?? [];
  if (batch === undefined || second === undefined || third === undefined) return undefined;
  if (fourth !== undefined) return [batch, second, third, fourth];
  return [batch, count, second, floorDivDims(third, count)];
}
