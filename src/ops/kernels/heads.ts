/** Parts of attention that its operators share: heads and their products, as standard operators. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { dimsEqual } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
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

/**
 * Repeats each head of keys or values for the queries that share it.
 *
 * @throws DiagnosticError E_UNKNOWN_SIZE where heads are not counted.
 */
export function repeatHeads(b: OpBuilder, node: Node, x: Value, q: Value): Value {
  const [count, wanted] = [dimOf(x, 1), dimOf(q, 1)];
  if (dimsEqual(count, wanted)) return x;
  if (typeof count !== "number" || typeof wanted !== "number")
    throw operatorErrors.E_UNKNOWN_SIZE(node, "the number of its heads");
  const copies = b.expand(b.unsqueeze(x, [2]), b.ints([1, 1, wanted / count, 1, 1]));
  const part = (start: number, end: number): Value => b.op("Shape", [x], { start, end });
  return b.reshape(copies, b.concat([part(0, 1), b.ints([wanted]), part(2, 4)], 0));
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
