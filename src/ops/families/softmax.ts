/** Softmax, LogSoftmax and Hardmax along one axis. */

import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp, zero } from "../define.ts";
import { rankOf } from "../facts.ts";
import { partsBeside } from "../kernels/parts.ts";
import { foldNumbers, planReduction } from "../kernels/reduce.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { replaceNode } from "../kernels/replace-node.ts";
import { selectBeside } from "../kernels/select-along.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { int } from "../params.ts";
import type { Inferred } from "../record.ts";

const versions = [1, 11, 13];

export const Softmax = defineOp({
  type: "Softmax",
  versions,
  inputs: ["x"],
  outputs: ["y"],
  attributes: { axis: int(-1) },
  select: selectBeside((node, rank) => [axisOf(node, node.int("axis", -1), rank)]),
  parts: partsBeside((node, rank) => [axisOf(node, node.int("axis", -1), rank)]),
  infer: ({ node, in: { x }, attrs: { axis } }) => [inferAlong(node, x, axis)],
  evaluate: ({ node, in: { x }, attrs: { axis }, exact }) => [
    softmax(x, axisOf(node, axis, x.rank), exact, (shifted, sum) => Math.exp(shifted) / sum),
  ],
  precision: "full",
  cost: { overwrites: "x" },
  // y (g - sum(g y))
  gradient: ({ node, out: { y }, attrs: { axis }, grad: { y: g }, b }) => ({
    x: () => b.mul(y, b.sub(g, b.reduceSum(b.mul(g, y), [axisOf(node, axis, rankOf(y))]))),
  }),
  upgrades: { 13: flattenFromAxis },
});

export const LogSoftmax = defineOp({
  type: "LogSoftmax",
  versions,
  inputs: ["x"],
  outputs: ["y"],
  attributes: { axis: int(-1) },
  select: selectBeside((node, rank) => [axisOf(node, node.int("axis", -1), rank)]),
  parts: partsBeside((node, rank) => [axisOf(node, node.int("axis", -1), rank)]),
  infer: ({ node, in: { x }, attrs: { axis } }) => [inferAlong(node, x, axis)],
  evaluate: ({ node, in: { x }, attrs: { axis }, exact }) => [
    softmax(x, axisOf(node, axis, x.rank), exact, (shifted, sum) => shifted - Math.log(sum)),
  ],
  precision: "full",
  cost: { overwrites: "x" },
  // g - e^y sum(g)
  gradient: ({ node, out: { y }, attrs: { axis }, grad: { y: g }, b }) => ({
    x: () => b.sub(g, b.mul(b.exp(y), b.reduceSum(g, [axisOf(node, axis, rankOf(y))]))),
  }),
  upgrades: { 13: flattenFromAxis },
});

export const Hardmax = defineOp({
  type: "Hardmax",
  versions,
  inputs: ["x"],
  outputs: ["y"],
  attributes: { axis: int(-1) },
  select: selectBeside((node, rank) => [axisOf(node, node.int("axis", -1), rank)]),
  parts: partsBeside((node, rank) => [axisOf(node, node.int("axis", -1), rank)]),
  infer: ({ node, in: { x }, attrs: { axis } }) => [inferAlong(node, x, axis)],
  evaluate: ({ node, in: { x }, attrs: { axis }, exact }) => [hardmax(x, axisOf(node, axis, x.rank), exact)],
  precision: "follow",
  gradient: zero("the result is 0 or 1, constant between changes of the winner"),
  upgrades: { 13: flattenFromAxis },
});

/**
 * Before version 13 the operand was taken as a matrix: axes from `axis` (1 by default) on are columns. That is the
 * newer meaning where `axis` is the last, and is written as Flatten and Reshape elsewhere.
 */
function flattenFromAxis(node: Node, b: OpBuilder): void {
  const x = node.input(0);
  if (x === undefined) return;
  const axis = node.int("axis", 1);
  const rank = rankOf(x);
  if (axisOf(node, axis, rank) === rank - 1) {
    node.attributes.set("axis", { kind: "int", value: -1 });
    return;
  }
  const rows = b.op(node.op, [b.op("Flatten", [x], { axis })], { axis: -1 });
  replaceNode(node, [b.reshape(rows, b.shape(x))]);
}

function inferAlong(node: Node, x: Value, axis: number): Inferred {
  const rank = x.tensorType?.shape?.length;
  if (rank !== undefined) axisOf(node, axis, rank);
  return x.type;
}

/** `finish` sees each element minus the maximum of its line, and the sum of the exponentials of those. */
function softmax(
  x: NDArray,
  axis: number,
  exact: boolean,
  finish: (shifted: number, sum: number) => number,
): NDArray {
  const plan = planReduction(x.shape, [axis]);
  const tops = foldNumbers(x.numbers, plan, { start: Number.NEGATIVE_INFINITY, step: Math.max });
  const shifted = x.numbers.map((value, i) => value - (tops[plan.cells[i] ?? 0] ?? 0));
  const sums = foldNumbers(shifted.map(Math.exp), plan, { start: 0, step: (sum, v) => sum + v });
  const results = shifted.map((value, i) => finish(value, sums[plan.cells[i] ?? 0] ?? 1));
  return fromNumbers(x.dtype, x.shape, results, exact);
}

function hardmax(x: NDArray, axis: number, exact: boolean): NDArray {
  const plan = planReduction(x.shape, [axis]);
  const tops = foldNumbers(x.numbers, plan, { start: Number.NEGATIVE_INFINITY, step: Math.max });
  const taken = new Uint8Array(plan.size);
  const results = x.numbers.map((value, i) => {
    const cell = plan.cells[i] ?? 0;
    if (value !== tops[cell] || taken[cell] !== 0) return 0;
    taken[cell] = 1;
    return 1;
  });
  return fromNumbers(x.dtype, x.shape, results, exact);
}
