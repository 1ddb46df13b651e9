/** Parts of attention that its operators share: heads and their products, as standard operators. */
import { dimsEqual } from "../../ir/dim.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dimOf } from "../facts.ts";

/** `[batch, length, heads * size]` as `[batch, heads, length, size]`. */
export function splitHeads(b: OpBuilder, x: Value, count: number): Value {
  return b.transpose(b.reshape(x, [0, 0, count, -1]), [0, 2, 1, 3]);
}

/** The inverse of {@link splitHeads}. */
export function mergeHeads(b: OpBuilder, x: Value, count: number): Value {
  const size = dimOf(x, 3);
  const width = typeof size === "number" ? count * size : -1;
  return b.reshape(b.transpose(x, [0, 2, 1, 3]), [0, 0, width]);
}

/** Repeats each head of keys or values for the queries that share it. */
export function repeatHeads(b: OpBuilder, x: Value, q: Value): Value {
  const [count, wanted] = [dimOf(x, 1), dimOf(q, 1)];
  if (dimsEqual(count, wanted)) return x;
  const counted = typeof count === "number" && typeof wanted === "number";
  const part = (of: Value, start: number, end: number): Value => b.op("Shape", [of], { start, end });
  const heads = typeof wanted === "number" ? b.ints([wanted]) : part(q, 1, 2);
  const target = counted
    ? b.ints([1, 1, wanted / count, 1, 1])
    : b.concat([b.ints([1, 1]), b.div(heads, part(x, 1, 2)), b.ints([1, 1])], 0);
  const copies = b.expand(b.unsqueeze(x, [2]), target);
  return b.reshape(copies, b.concat([part(x, 0, 1), heads, part(x, 2, 4)], 0));
}

/** `q k^T` times the scale, `1 / sqrt(size)` where none is given. */
export function scaledScores(b: OpBuilder, q: Value, key: Value, scale: number | undefined): Value {
  const size = dimOf(q, 3);
  const product = b.matmul(q, b.transposeLast(key));
  if (scale !== undefined) return b.mul(product, scale);
  if (typeof size === "number") return b.mul(product, 1 / Math.sqrt(size));
  return b.div(product, b.sqrt(b.castLike(b.dim(q, 3), q)));
}

/** `cap * tanh(scores / cap)`; a cap of 0 is none. */
export function capScores(b: OpBuilder, scores: Value, cap: number): Value {
  return cap === 0 ? scores : b.mul(b.op("Tanh", [b.div(scores, cap)]), cap);
}

/** `0, 1, ... size - 1` as int64. */
export function countTo(b: OpBuilder, size: Value): Value {
  return b.op("Range", [b.int(0), size, b.int(1)]);
}

/** Softmax along the last axis, and zeros for a query that sees no key. */
export function softmaxOfKept(b: OpBuilder, scores: Value): Value {
  const blind = b.equal(b.reduceMax(scores, [-1]), Number.NEGATIVE_INFINITY);
  return b.where(blind, 0, b.op("Softmax", [b.where(blind, 0, scores)], { axis: -1 }));
}
