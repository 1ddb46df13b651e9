/**
 * Sums rows into a table that coordinates point at, without ScatterND, whose CPU kernel races where rows
 * repeat.
 */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { rankOf, shapeOf } from "../facts.ts";
import { knownIntegers } from "./reduction-axes.ts";
import { productOf, reshapeTo, type Size, shapeVector, sizeAt, sizesOf } from "./shape-vector.ts";

/** A tensor seen as a table of rows, and which row each row of coordinates points at. */
export interface RowView {
  /** Row numbers, a vector. */
  readonly rows: Value;
  /** Sizes of one row. */
  readonly row: readonly Size[];
  /** Number of rows of the table, -1 where it is known at run time only. */
  readonly count: number;
}

/**
 * Numbers the rows of `x` that `indices` (GatherND, ScatterND) point at.
 *
 * @throws DiagnosticError E_UNKNOWN_SIZE where the number of coordinates is not known.
 */
export function viewRows(b: OpBuilder, node: Node, x: Value, indices: Value, batchDims: number): RowView {
  const width = shapeOf(indices).at(-1);
  if (typeof width !== "number") {
    throw operatorErrors.E_UNKNOWN_SIZE(node, "the number of coordinates of each index");
  }
  const end = batchDims + width;
  const sizes = sizesOf(x, batchDims, end);
  let rows = width === 0 ? zeroRows(b, indices) : flattenCoordinates(b, indices, sizes);
  if (batchDims > 0) rows = addBatches(b, rows, x, indices, batchDims, sizes);
  return { rows: b.reshape(rows, [-1]), row: sizesOf(x, end), count: productOf(sizesOf(x, 0, end)) };
}

/** Indices for ScatterElements along axis 0 that move whole rows of the shape of `updates`. */
export function rowIndices(b: OpBuilder, rows: Value, updates: Value): Value {
  const rank = rankOf(updates);
  if (rank === 1) return rows;
  const column = b.reshape(rows, [-1, ...new Array<number>(rank - 1).fill(1)]);
  return b.expand(column, shapeVector(b, sizesOf(updates)));
}

/** A tensor of rows as the table or the updates of a {@link RowView}. */
export function asRows(b: OpBuilder, value: Value, count: number, row: readonly Size[]): Value {
  return reshapeTo(b, value, [count, ...row]);
}

function flattenCoordinates(b: OpBuilder, indices: Value, sizes: readonly Size[]): Value {
  const negative = knownIntegers(indices)?.some((index) => index < 0) ?? true;
  const wide = b.cast(indices, "int64");
  const counted = negative ? b.mod(wide, shapeVector(b, sizes)) : wide;
  if (sizes.length === 1) return b.squeeze(counted, [-1]);
  const strides = stridesOf(sizes);
  if (strides !== undefined) return b.reduceSum(b.mul(counted, b.ints(strides)), [-1], false);
  return sizes
    .map((_, j) => b.gather(counted, b.int(j), -1))
    .reduce((sum, column, j) => b.add(b.mul(sum, oneSize(b, sizes[j] ?? 1)), column));
}

function stridesOf(sizes: readonly Size[]): number[] | undefined {
  const strides = sizes.map((_, j) => productOf(sizes.slice(j + 1)));
  return strides.includes(-1) ? undefined : strides;
}

function oneSize(b: OpBuilder, size: Size): Value {
  return typeof size === "number" ? b.int(size) : b.dim(size.of, size.axis);
}

/** Each batch has rows of its own. */
function addBatches(
  b: OpBuilder,
  rows: Value,
  x: Value,
  indices: Value,
  batchDims: number,
  sizes: readonly Size[],
): Value {
  const batchSizes = sizesOf(x, 0, batchDims);
  const count = batchSizes.map((size) => oneSize(b, size)).reduce((left, right) => b.mul(left, right));
  const perBatch = sizes
    .map((size) => oneSize(b, size))
    .reduce((left, right) => b.mul(left, right), b.int(1));
  const first = b.mul(b.op("Range", [b.int(0), count, b.int(1)]), perBatch);
  const inner = rankOf(indices) - 1 - batchDims;
  return b.add(rows, reshapeTo(b, first, [...batchSizes, ...new Array<number>(inner).fill(1)]));
}

function zeroRows(b: OpBuilder, indices: Value): Value {
  const outer = Array.from({ length: rankOf(indices) - 1 }, (_, axis) => sizeAt(indices, axis));
  return b.expand(b.int(0), shapeVector(b, outer));
}
