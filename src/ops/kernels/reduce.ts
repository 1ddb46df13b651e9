/** Evaluation of reductions: sums in double precision, whole numbers exactly. */
import type { DType } from "../../ir/dtype.ts";
import { bitsOf, isFloat } from "../../ir/dtype.ts";
import { countElements } from "../../ir/shape.ts";
import { fromNumbers, NDArray } from "../ndarray.ts";
import { broadcastOffsets } from "./elementwise.ts";

/** Where each element of the operand goes in the result, and the shape of the result. */
export interface ReductionPlan {
  /** Shape with 1 along reduced axes. */
  readonly kept: readonly number[];
  /** Shape with reduced axes dropped. */
  readonly dropped: readonly number[];
  /** Flat index in the result for each element of the operand. */
  readonly cells: Int32Array;
  /** Elements of the result. */
  readonly size: number;
  /** Elements that each element of the result comes from. */
  readonly count: number;
}

export function planReduction(shape: readonly number[], axes: readonly number[]): ReductionPlan {
  const reduced = new Set(axes);
  const kept = shape.map((dim, axis) => (reduced.has(axis) ? 1 : dim));
  return {
    kept,
    dropped: shape.filter((_, axis) => !reduced.has(axis)),
    cells: broadcastOffsets(kept, shape),
    size: countElements(kept),
    count: axes.reduce((product, axis) => product * (shape[axis] ?? 1), 1),
  };
}

/** How a reduction runs on one kind of number. */
export interface Fold<N> {
  readonly start: N;
  readonly step: (sum: N, element: N) => N;
  readonly finish?: (sum: N, count: number) => N;
}

/** Folds doubles; results are not rounded. */
export function foldNumbers(
  values: ArrayLike<number>,
  plan: ReductionPlan,
  fold: Fold<number>,
): Float64Array<ArrayBuffer> {
  const { start, step, finish } = fold;
  const sums = new Float64Array(plan.size).fill(start);
  for (let i = 0; i < values.length; i++) {
    const cell = plan.cells[i] ?? 0;
    sums[cell] = step(sums[cell] ?? start, values[i] ?? 0);
  }
  return finish === undefined ? sums : sums.map((sum) => finish(sum, plan.count));
}

/**
 * Reduces an array over axes.
 *
 * @param bigints the same reduction on 64-bit integers; where it is left out they are reduced as doubles.
 */
export function reduceArray(
  x: NDArray,
  options: { readonly axes: readonly number[]; readonly keepdims: boolean; readonly exact: boolean },
  numbers: Fold<number>,
  bigints?: Fold<bigint>,
): NDArray {
  const plan = planReduction(x.shape, options.axes);
  const shape = options.keepdims ? plan.kept : plan.dropped;
  const { data } = x;
  if (bigints !== undefined && (data instanceof BigInt64Array || data instanceof BigUint64Array)) {
    const { start, step, finish } = bigints;
    const sums = new Array<bigint>(plan.size).fill(start);
    data.forEach((value, i) => {
      const cell = plan.cells[i] ?? 0;
      sums[cell] = step(sums[cell] ?? start, value);
    });
    const results = finish === undefined ? sums : sums.map((sum) => finish(sum, plan.count));
    return new NDArray(
      x.dtype,
      shape,
      data instanceof BigInt64Array ? BigInt64Array.from(results) : BigUint64Array.from(results),
    );
  }
  const results = foldNumbers(x.toNumbers(), plan, numbers);
  return fromNumbers(x.dtype, shape, isFloat(x.dtype) ? results : results.map(Math.trunc), options.exact);
}

/** The least value of a type: what a maximum over nothing gives. */
export function leastOf(dtype: DType): number {
  if (isFloat(dtype)) return Number.NEGATIVE_INFINITY;
  return dtype.startsWith("u") || dtype === "bool" ? 0 : -(2 ** (bitsOf(dtype) - 1));
}

/** The greatest value of a type: what a minimum over nothing gives. */
export function greatestOf(dtype: DType): number {
  if (isFloat(dtype)) return Number.POSITIVE_INFINITY;
  if (dtype === "bool") return 1;
  return 2 ** (bitsOf(dtype) - (dtype.startsWith("u") ? 0 : 1)) - 1;
}
