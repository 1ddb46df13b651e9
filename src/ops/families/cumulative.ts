/** CumSum and CumProd: running sums and products along an axis. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf } from "../facts.ts";
import { partsBeside } from "../kernels/parts.ts";
import { axisOf, knownIntegers } from "../kernels/reduction-axes.ts";
import { scanArray } from "../kernels/scan.ts";
import { int } from "../params.ts";

export const CumSum = defineOp({
  type: "CumSum",
  versions: [11, 14],
  inputs: ["x", "axis"],
  ranks: { x: [1], axis: [0, 1] },
  outputs: ["y"],
  attributes: { exclusive: int(0), reverse: int(0) },
  infer: ({ in: { x } }) => [x.type],
  evaluate: ({ node, in: { x, axis }, attrs: { exclusive, reverse }, exact }) => [
    scanArray(
      x,
      {
        numbers: { start: 0, step: (sum, v) => sum + v },
        bigints: { start: 0n, step: (sum, v) => sum + v },
      },
      {
        axis: axisOf(node, axis.toNumbers()[0] ?? 0, x.rank),
        exclusive: exclusive !== 0,
        reverse: reverse !== 0,
        exact,
      },
    ),
  ],
  parts: partsBeside((node, rank) => knownIntegers(node.input(1))?.map((axis) => axisOf(node, axis, rank))),
  precision: "full",
  // Element i goes into the sums after it, so its gradient is the running sum from the other end.
  gradient: ({ in: { axis }, attrs: { exclusive, reverse }, grad: { y: g }, b }) => ({
    x: () => b.op("CumSum", [g, axis], { exclusive, reverse: reverse === 0 ? 1 : 0 }),
  }),
  hostInputs: ["axis"],
});

export const CumProd = defineOp({
  type: "CumProd",
  versions: [26],
  inputs: ["x", "axis"],
  ranks: { x: [1], axis: [0, 1] },
  outputs: ["y"],
  attributes: { exclusive: int(0), reverse: int(0) },
  infer: ({ in: { x } }) => [x.type],
  evaluate: ({ node, in: { x, axis }, attrs: { exclusive, reverse }, exact }) => [
    scanArray(
      x,
      {
        numbers: { start: 1, step: (product, v) => product * v },
        bigints: { start: 1n, step: (product, v) => product * v },
      },
      {
        axis: axisOf(node, axis.toNumbers()[0] ?? 0, x.rank),
        exclusive: exclusive !== 0,
        reverse: reverse !== 0,
        exact,
      },
    ),
  ],
  parts: partsBeside((node, rank) => knownIntegers(node.input(1))?.map((axis) => axisOf(node, axis, rank))),
  precision: "full",
  gradient: ({ in: { x, axis }, out: { y }, attrs, grad: { y: g }, b }) => ({
    x: () => cumulativeProductGradient(b, x, y, g, axis, attrs),
  }),
  hostInputs: ["axis"],
});

/**
 * dx_i is the sum of g_j y_j / x_i over the products j that hold element i. Products after the first 0 are 0, so that
 * nothing flows to elements behind it; the 0 itself gets the sums of products in which it stands as 1.
 */
function cumulativeProductGradient(
  b: OpBuilder,
  x: Value,
  y: Value,
  g: Value,
  axis: Value,
  { exclusive, reverse }: { readonly exclusive: number; readonly reverse: number },
): Value {
  const backwards = (terms: Value): Value =>
    b.op("CumSum", [terms, axis], { exclusive, reverse: reverse === 0 ? 1 : 0 });
  const isZero = b.equal(x, 0);
  const zerosSoFar = b.op("CumSum", [b.cast(isZero, dtypeOf(x)), axis], { exclusive: 0, reverse });
  const isFirst = b.and(isZero, b.equal(zerosSoFar, 1));
  const withoutFirst = b.op("CumProd", [b.where(isFirst, 1, x), axis], { exclusive, reverse });
  const before = b.div(backwards(b.mul(g, y)), b.where(isZero, 1, x));
  const rest = b.where(b.equal(zerosSoFar, 0), before, 0);
  return b.where(isFirst, backwards(b.mul(g, withoutFirst)), rest);
}
