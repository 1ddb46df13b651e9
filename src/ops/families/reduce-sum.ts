/** Reductions made of sums: ReduceSum, ReduceMean, ReduceL1, ReduceL2, ReduceSumSquare and the logarithms of sums. */
import { addDims } from "../../ir/dim.ts";
import { isFloat } from "../../ir/dtype.ts";
import { foldNumbers, planReduction } from "../kernels/reduce.ts";
import { defineReduction, type ReduceOptions } from "../kernels/reduction.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";

const versions = [1, 11, 13, 18];

export const ReduceSum = defineReduction({
  type: "ReduceSum",
  additive: true,
  versions: [1, 11, 13],
  axesInputSince: 13,
  precision: "full",
  fold: () => ({
    numbers: { start: 0, step: (sum, v) => sum + v },
    bigints: { start: 0n, step: (sum, v) => sum + v },
  }),
  content: addDims,
  gradient: ({ x, g, b }) => b.expand(g(), b.shape(x)),
});

export const ReduceMean = defineReduction({
  type: "ReduceMean",
  versions,
  axesInputSince: 18,
  precision: "full",
  fold: () => ({
    // The mean of nothing, which ONNX leaves open, is 0 in the runtime.
    numbers: { start: 0, step: (sum, v) => sum + v, finish: (sum, count) => sum / Math.max(1, count) },
    bigints: {
      start: 0n,
      step: (sum, v) => sum + v,
      finish: (sum, count) => sum / BigInt(Math.max(1, count)),
    },
  }),
  gradient: ({ x, g, share, b }) => b.expand(b.mul(g(), share()), b.shape(x)),
});

export const ReduceL1 = defineReduction({
  type: "ReduceL1",
  additive: true,
  versions,
  axesInputSince: 18,
  precision: "full",
  fold: () => ({
    numbers: { start: 0, step: (sum, v) => sum + Math.abs(v) },
    bigints: { start: 0n, step: (sum, v) => sum + (v < 0n ? -v : v) },
  }),
  // 0 at elements that are 0
  gradient: ({ x, g, b }) => b.mul(b.sign(x), g()),
});

export const ReduceL2 = defineReduction({
  type: "ReduceL2",
  versions,
  axesInputSince: 18,
  precision: "full",
  fold: () => ({ numbers: { start: 0, step: (sum, v) => sum + v * v, finish: Math.sqrt } }),
  // x g/y, and 0 where the norm is 0
  gradient: ({ x, y, g, b }) => {
    const norm = y();
    return b.mul(x, b.where(b.equal(norm, 0), 0, b.div(g(), norm)));
  },
});

export const ReduceSumSquare = defineReduction({
  type: "ReduceSumSquare",
  additive: true,
  versions,
  axesInputSince: 18,
  precision: "full",
  fold: () => ({
    numbers: { start: 0, step: (sum, v) => sum + v * v },
    bigints: { start: 0n, step: (sum, v) => sum + v * v },
  }),
  gradient: ({ x, g, b }) => b.mul(x, b.mul(g(), 2)),
});

export const ReduceLogSum = defineReduction({
  type: "ReduceLogSum",
  versions: [...versions, 28],
  axesInputSince: 18,
  precision: "full",
  fold: () => ({ numbers: { start: 0, step: (sum, v) => sum + v, finish: Math.log } }),
  // g / sum, with the sum taken again: e^y would be no number where the sum is negative, and lose digits elsewhere.
  gradient: ({ x, g, reduce, b }) => b.expand(b.div(g(), reduce("ReduceSum", x)), b.shape(x)),
});

export const ReduceLogSumExp = defineReduction({
  type: "ReduceLogSumExp",
  versions: [...versions, 28],
  axesInputSince: 18,
  precision: "full",
  fold: () => ({ numbers: { start: 0, step: (sum, v) => sum + v } }),
  evaluate: logSumExp,
  gradient: ({ x, y, g, b }) => b.mul(b.exp(b.sub(x, y())), g()),
});

/** Shifts by the maximum, so that the exponentials stay in range. */
function logSumExp(x: NDArray, { axes, keepdims, exact }: ReduceOptions): NDArray {
  const plan = planReduction(x.shape, axes);
  const values = x.toNumbers();
  const tops = foldNumbers(values, plan, { start: Number.NEGATIVE_INFINITY, step: Math.max });
  const shifts = tops.map((top) => (Number.isFinite(top) ? top : 0));
  const sums = new Float64Array(plan.size);
  values.forEach((value, i) => {
    const cell = plan.cells[i] ?? 0;
    sums[cell] = (sums[cell] ?? 0) + Math.exp(value - (shifts[cell] ?? 0));
  });
  const results = sums.map((sum, cell) => Math.log(sum) + (shifts[cell] ?? 0));
  const shape = keepdims ? plan.kept : plan.dropped;
  return fromNumbers(x.dtype, shape, isFloat(x.dtype) ? results : results.map(Math.trunc), exact);
}
