/** What Attention and MultiHeadAttention of com.microsoft share: masks of whole numbers in their many forms, and the rest. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { addDims, dimsEqual, mulDims } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dimOf, dtypeOf, rankOf } from "../facts.ts";
import { countTo, scaledScores } from "./heads.ts";

/** Heads of queries, keys and values, `[batch, heads, length, size]`; keys and values with the past before them. */
export interface MaskedOperands {
  readonly q: Value;
  readonly key: Value;
  readonly value: Value;
  /** Number of keys of the past; undefined where there is none. */
  readonly before: Value | undefined;
  /** Whole numbers: which keys are no padding. */
  readonly mask: Value | undefined;
  /** Added to the scores. */
  readonly bias: Value | undefined;
}

export interface MaskedOptions {
  readonly causal: boolean;
  /** Added to the score of a masked key. */
  readonly filter: number;
  /** 0 for `1 / sqrt(size)`. */
  readonly scale: number;
}

/** Heads of the result, and the scores before the softmax. */
export function attendMasked(
  b: OpBuilder,
  node: Node,
  { q, key, value, before, mask, bias }: MaskedOperands,
  { causal, filter, scale }: MaskedOptions,
): { readonly heads: Value; readonly scores: Value } {
  const parts = [scaledScores(b, q, key, scale === 0 ? undefined : scale)];
  if (bias !== undefined) parts.push(bias);
  if (mask !== undefined) parts.push(maskBias(b, node, mask, { q, key, before }, filter));
  const sum = parts.reduce((left, right) => b.add(left, right));
  const scores = causal ? b.where(causalMask(b, q, key, before), sum, Number.NEGATIVE_INFINITY) : sum;
  return { heads: b.matmul(b.op("Softmax", [scores], { axis: -1 }), value), scores };
}

/** Which keys each query may see. The kernel lets the last query see all, which matters where keys are more than queries. */
function causalMask(b: OpBuilder, q: Value, key: Value, before: Value | undefined): Value {
  const [rows, columns] = [b.dim(q, 2), b.dim(key, 2)];
  const steps = b.unsqueeze(countTo(b, rows), [1]);
  const behind = b.lessOrEqual(countTo(b, columns), before === undefined ? steps : b.add(steps, before));
  if (before !== undefined || dimsEqual(dimOf(q, 2), dimOf(key, 2))) return behind;
  return b.or(behind, b.equal(steps, b.sub(rows, 1)));
}

/**
 * The mask as numbers to add to the scores: `filter` for what is masked, 0 elsewhere. One axis holds lengths, or ends and then
 * starts; two axes are keys by sequence, three also by query, four a square of all positions.
 *
 * @throws DiagnosticError E_UNKNOWN_SIZE where the length of one axis does not tell what it holds.
 */
function maskBias(
  b: OpBuilder,
  node: Node,
  mask: Value,
  { q, key, before }: Pick<MaskedOperands, "q" | "key" | "before">,
  filter: number,
): Value {
  const dtype = dtypeOf(q);
  const kept = (flags: Value): Value => b.where(flags, b.scalar(0, dtype), b.scalar(filter, dtype));
  const rank = rankOf(mask);
  if (rank === 1) return kept(withinBounds(b, node, mask, q, key));
  const flags = b.greater(mask, 0);
  if (rank === 2) return kept(b.unsqueeze(flags, [1, 2]));
  if (rank === 3) return kept(b.unsqueeze(flags, [1]));
  const start = before === undefined ? b.ints([0]) : b.unsqueeze(before, [0]);
  const end = b.add(start, b.unsqueeze(b.dim(q, 2), [0]));
  const starts = b.concat([start, b.ints([0])], 0);
  const ends = b.concat([end, b.unsqueeze(b.dim(key, 2), [0])], 0);
  return kept(b.op("Slice", [flags, starts, ends, b.ints([2, 3])]));
}

/** Keys before the end of their sequence and not before its start, `[batch, 1, 1, keys]`. */
function withinBounds(b: OpBuilder, node: Node, mask: Value, q: Value, key: Value): Value {
  const [count, batch] = [dimOf(mask, 0), dimOf(q, 0)];
  const places = countTo(b, b.dim(key, 2));
  const sequences = b.dim(q, 0);
  const part = (from: Value, to: Value): Value => {
    const bounds = [b.unsqueeze(from, [0]), b.unsqueeze(to, [0])];
    const taken = b.op("Slice", [mask, ...bounds, b.ints([0])]);
    return b.unsqueeze(b.cast(taken, "int64"), [1, 2, 3]);
  };
  const ended = (ends: Value): Value => b.less(places, ends);
  if (dimsEqual(count, batch)) return ended(b.unsqueeze(b.cast(mask, "int64"), [1, 2, 3]));
  // Lengths, then offsets of queries and keys, which add nothing to them.
  if (dimsEqual(count, addDims(mulDims(3, batch), 2))) return ended(part(b.int(0), sequences));
  if (!dimsEqual(count, mulDims(2, batch)))
    throw operatorErrors.E_UNKNOWN_SIZE(node, "the number of sequences that its mask is for");
  const both = b.mul(sequences, 2);
  return b.and(ended(part(b.int(0), sequences)), b.greaterOrEqual(places, part(sequences, both)));
}
