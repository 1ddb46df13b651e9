/** LpNormalization and MeanVarianceNormalization: normalizations without parameters of their own. */

import type { Node } from "../../ir/node.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { foldNumbers, planReduction } from "../kernels/reduce.ts";
import { axisOf, resolveAxes } from "../kernels/reduction-axes.ts";
import { standardize } from "../kernels/standardize.ts";
import { fromNumbers } from "../ndarray.ts";
import { int, ints } from "../params.ts";

export const LpNormalization = defineOp({
  type: "LpNormalization",
  versions: [1, 22],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { axis: int(-1), p: int(2) },
  infer: ({ node, in: { x }, attrs: { axis } }) => {
    const rank = x.tensorType?.shape?.length;
    if (rank !== undefined) axisOf(node, axis, rank);
    return [x.type];
  },
  evaluate: ({ node, in: { x }, attrs: { axis, p }, exact }) => {
    const plan = planReduction(x.shape, [axisOf(node, axis, x.rank)]);
    const norms =
      p === 1
        ? foldNumbers(x.numbers, plan, { start: 0, step: (sum, v) => sum + Math.abs(v) })
        : foldNumbers(x.numbers, plan, { start: 0, step: (sum, v) => sum + v * v, finish: Math.sqrt });
    const results = x.numbers.map((value, i) => {
      const norm = norms[plan.cells[i] ?? 0] ?? 0;
      return norm === 0 ? 0 : value / norm;
    });
    return [fromNumbers(x.dtype, x.shape, results, exact)];
  },
  precision: "full",
  // (g - d sum(g y)) / norm with d = y for p = 2 and sign(x) for p = 1; 0 where the norm is 0
  gradient: ({ in: { x }, out: { y }, attrs: { axis, p }, grad: { y: g }, b }) => ({
    x: () => {
      const norm = b.op(p === 1 ? "ReduceL1" : "ReduceL2", [x, b.ints([axis])], { keepdims: 1 });
      const direction = p === 1 ? b.sign(x) : y;
      const rest = b.sub(g, b.mul(direction, b.reduceSum(b.mul(g, y), [axis])));
      return b.mul(rest, b.where(b.equal(norm, 0), 0, b.reciprocal(norm)));
    },
  }),
});

/** Keeps the division defined where all elements are equal; from the function body in the ONNX schema. */
const smallest = 1e-9;

export const MeanVarianceNormalization = defineOp({
  type: "MeanVarianceNormalization",
  versions: [9, 13],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { axes: ints() },
  infer: ({ node, in: { x }, attrs: { axes } }) => {
    const rank = x.tensorType?.shape?.length;
    if (rank !== undefined) axesOf(node, axes, rank);
    return [x.type];
  },
  evaluate: ({ node, in: { x }, attrs: { axes }, exact }) => {
    const options = { axes: axesOf(node, axes, x.rank), epsilon: 0, centered: true };
    const { plan, means, variances } = standardize(x, options);
    const results = x.numbers.map((value, i) => {
      const cell = plan.cells[i] ?? 0;
      return (value - (means[cell] ?? 0)) / (Math.sqrt(variances[cell] ?? 0) + smallest);
    });
    return [fromNumbers(x.dtype, x.shape, results, exact)];
  },
  precision: "full",
  // (g - mean(g)) / (s + e) - y mean(g y) / s for the deviation s; the second term is 0 where s is.
  gradient: ({ node, in: { x }, out: { y }, attrs: { axes: given }, grad: { y: g }, b }) => ({
    x: () => {
      const axes = axesOf(node, given, rankOf(x));
      const centered = b.sub(x, b.reduceMean(x, axes));
      const deviation = b.sqrt(b.reduceMean(b.mul(centered, centered), axes));
      const straight = b.div(b.sub(g, b.reduceMean(g, axes)), b.add(deviation, smallest));
      const slope = b.where(b.equal(deviation, 0), 0, b.div(b.reduceMean(b.mul(g, y), axes), deviation));
      return b.sub(straight, b.mul(y, slope));
    },
  }),
  upgrades: { 13: spellAxes },
});

const defaultAxes = [0, 2, 3];

/** ONNX's checker cannot expand version 13 where the axes are left to their default. */
function spellAxes(node: Node): void {
  if (!node.attributes.has("axes")) node.attributes.set("axes", { kind: "ints", value: defaultAxes });
}

function axesOf(node: Node, axes: readonly number[] | undefined, rank: number): readonly number[] {
  return resolveAxes(node, axes ?? defaultAxes, rank, true);
}
