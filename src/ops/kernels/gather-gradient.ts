/** The gradient of Gather: rows summed into the table that they were taken from. */
import { float32Tensor } from "../../ir/constant.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf, rankOf, shapeOf } from "../facts.ts";
import { scatterAlong, zerosShapedAs } from "./positions.ts";
import { knownIntegers } from "./reduction-axes.ts";
import { productOf, reshapeTo, shapeVector, sizeAt, sizesOf, stateShape } from "./shape-vector.ts";
import { joinSizes } from "./slice-gradient.ts";
import { padZeros } from "./zero-pad.ts";

/**
 * Rows of a table up to which a product with one-hot rows costs less than ScatterElements, whose CPU kernel
 * is serial.
 */
const smallTable = 256;

/** The gradient of `x`; `at` is the position of the axis that the indices run over. */
export function gatherGradient(b: OpBuilder, x: Value, indices: Value, g: Value, at: number): Value {
  const rank = rankOf(x);
  const known = knownIntegers(indices);
  const count = productOf(sizesOf(indices));
  const rows = rankOf(indices) === 1 ? g : reshapeTo(b, g, sizesOf(x).with(at, count));
  if (known !== undefined && isRun(known)) return stateShape(padRun(b, x, rows, at, known), x);
  const size = shapeOf(x)[at];
  if (rank === 2 && at === 0 && typeof size === "number" && size <= smallTable) {
    return sumByProduct(b, rows, indices, size);
  }
  const column = b.reshape(
    indices,
    Array.from({ length: rank }, (_, i) => (i === at ? -1 : 1)),
  );
  const wide = b.expand(column, shapeVector(b, sizesOf(rows)));
  const repeated = known === undefined || hasRepeats(known, size);
  return scatterAlong(b, { updates: rows, indices: wide, axis: at, repeated }, (dtype) =>
    zerosShapedAs(b, x, dtype),
  );
}

/** Whether the indices are neighbours in order, such as the one of a first token. */
function isRun(indices: readonly number[]): boolean {
  const [first, last] = [indices[0], indices.at(-1)];
  if (first === undefined || last === undefined || (first < 0 && last >= 0)) return false;
  return indices.every((index, i) => index === first + i);
}

/**
 * Rows with an index each other's by nothing but its sign count as repeated, unless the size tells them
 * apart.
 */
function hasRepeats(indices: readonly number[], size: unknown): boolean {
  const signs = new Set(indices.map((index) => index < 0));
  if (typeof size !== "number") return signs.size > 1 || new Set(indices).size < indices.length;
  return new Set(indices.map((index) => (index < 0 ? index + size : index))).size < indices.length;
}

/** Zeros before and after. */
function padRun(b: OpBuilder, x: Value, rows: Value, axis: number, run: readonly number[]): Value {
  const size = sizeAt(x, axis);
  const [first = 0, last = 0] = [run[0], run.at(-1)];
  const axes = b.ints([axis]);
  if (typeof size === "number") {
    const before = first < 0 ? first + size : first;
    return padZeros(b, rows, b.ints([before, size - before - run.length]), axes);
  }
  const whole = shapeVector(b, [size]);
  const sizes =
    first < 0
      ? [b.add(whole, b.ints([first])), -1 - last]
      : [first, b.sub(whole, b.ints([first + run.length]))];
  return padZeros(b, rows, joinSizes(b, sizes), axes);
}

/** `onehot(indices)^T rows`. */
function sumByProduct(b: OpBuilder, rows: Value, indices: Value, size: number): Value {
  const flat = rankOf(indices) === 1 ? indices : b.reshape(indices, [-1]);
  const flags = b.op("OneHot", [b.cast(flat, "int64"), b.int(size), b.constant(float32Tensor([0, 1]))]);
  return b.op("Gemm", [b.cast(flags, dtypeOf(rows)), rows], { transA: 1 });
}
