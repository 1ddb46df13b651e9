/** Reductions that multiply or choose: ReduceProd, ReduceMax, ReduceMin. */
import { maxDims, minDims, mulDims } from "../../ir/dim.ts";
import type { DType } from "../../ir/dtype.ts";
import type { Value } from "../../ir/value.ts";
import { dtypeOf } from "../facts.ts";
import { maximum, minimum } from "../kernels/extremum.ts";
import { greatestOf, leastOf } from "../kernels/reduce.ts";
import { defineReduction, type ReductionGradientContext } from "../kernels/reduction.ts";

export const ReduceProd = defineReduction({
  type: "ReduceProd",
  versions: [1, 11, 13, 18],
  axesInputSince: 18,
  precision: "full",
  fold: () => ({
    numbers: { start: 1, step: (product, v) => product * v },
    bigints: { start: 1n, step: (product, v) => product * v },
  }),
  content: mulDims,
  gradient: productOfOthers,
});

export const ReduceMax = defineReduction({
  type: "ReduceMax",
  versions: [1, 11, 12, 13, 18, 20],
  axesInputSince: 18,
  precision: "follow",
  fold: (dtype) => ({
    numbers: { start: leastOf(dtype), step: maximum.numbers },
    bigints: { start: wholeBound(dtype, leastOf(dtype)), step: maximum.bigints },
  }),
  content: maxDims,
  gradient: shareAmongEqual,
});

export const ReduceMin = defineReduction({
  type: "ReduceMin",
  versions: [1, 11, 12, 13, 18, 20],
  axesInputSince: 18,
  precision: "follow",
  fold: (dtype) => ({
    numbers: { start: greatestOf(dtype), step: minimum.numbers },
    bigints: { start: wholeBound(dtype, greatestOf(dtype)), step: minimum.bigints },
  }),
  content: minDims,
  gradient: shareAmongEqual,
});

/** Splits the gradient evenly among the elements that equal the extremum, as PyTorch's amax does. */
function shareAmongEqual({ x, y, g, reduce, b }: ReductionGradientContext): Value {
  const hit = b.equal(x, y());
  const count = reduce("ReduceSum", b.cast(hit, dtypeOf(x)));
  return b.where(hit, b.div(g(), count), 0);
}

/**
 * For each element the product of the others: y/x where no element is 0. With one 0 among them only that element gets
 * the product of the rest, with more nobody gets anything. A second derivative at a 0 misses the others' share.
 */
function productOfOthers({ x, g, reduce, b }: ReductionGradientContext): Value {
  const isZero = b.equal(x, 0);
  const zeros = reduce("ReduceSum", b.cast(isZero, dtypeOf(x)));
  const filled = b.where(isZero, 1, x);
  const product = b.mul(g(), reduce("ReduceProd", filled));
  const alone = b.where(b.equal(zeros, 1), product, 0);
  const beside = b.where(b.equal(zeros, 0), product, 0);
  return b.where(isZero, alone, b.div(beside, filled));
}

function wholeBound(dtype: DType, bound: number): bigint {
  if (dtype === "int64") return bound < 0 ? -(2n ** 63n) : 2n ** 63n - 1n;
  return bound > 0 ? 2n ** 64n - 1n : 0n;
}
