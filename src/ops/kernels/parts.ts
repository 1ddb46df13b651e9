/** Rules for computing a few rows of a batch at a time: which axis the rows of a result lie along, or whether results add up. */
import { type Dim, dimsEqual, modDims, symbolsOf } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { sizeOf } from "../../ir/shape.ts";
import { rankOf } from "../facts.ts";
import type { Parts, PartsContext } from "../record.ts";

/** Element-wise operators: all operands that have rows have them along the same axis, counted from the last. */
export const partsOfElements: Parts = ({ node, axisOf, isSum }) => {
  const rank = rankOf(node.output(0));
  let found: number | undefined;
  for (const [index, input] of node.inputs.entries()) {
    if (input === null) continue;
    if (isSum(index)) return undefined;
    const axis = axisOf(index);
    if (axis === undefined) continue;
    const at = axis - rankOf(input) + rank;
    if (found !== undefined && found !== at) return undefined;
    found = at;
  }
  return found;
};

/** Operators of one operand that are linear in it and keep its axes. */
export const partsOfLinear: Parts = (context) => (context.isSum(0) ? "sum" : partsOfElements(context));

/** Sums of operands of the same kind. */
export const partsOfSum: Parts = (context) =>
  context.node.inputs.every((_, index) => context.isSum(index)) ? "sum" : partsOfElements(context);

/** Products: a sum times what is the same for every part stays one. */
export const partsOfProduct: Parts = (context) => {
  const { isSum, axisOf } = context;
  const factor = isSum(0) ? 1 : isSum(1) ? 0 : undefined;
  if (factor === undefined) return partsOfElements(context);
  return isSum(factor) || axisOf(factor) !== undefined ? undefined : "sum";
};

/** Quotients: a sum divided by what is the same for every part stays one. */
export const partsOfQuotient: Parts = (context) =>
  context.isSum(0) && !context.isSum(1) && context.axisOf(1) === undefined ? "sum" : partsOfElements(context);

/** The rules of operators that broadcast their operands against each other. */
export const broadcastParts: ReadonlySet<Parts | undefined> = new Set([
  partsOfElements,
  partsOfSum,
  partsOfProduct,
  partsOfQuotient,
]);

/** Operators that treat each index of every axis but some by itself, and read further operands whole. */
export function partsBeside(mixed: (node: Node, rank: number) => readonly number[] | undefined): Parts {
  return (context) => {
    const { node } = context;
    const axis = onlyFirst(context);
    const input = node.input(0);
    if (axis === undefined || input === undefined) return undefined;
    const axes = mixed(node, rankOf(input));
    return axes === undefined || axes.includes(axis) ? undefined : axis;
  };
}

/** Operators that treat each index of the first axis by itself; operands have their rows there, or none. */
export const partsOfFirstAxis: Parts = ({ node, axisOf, isSum }) => {
  const axes = node.inputs.map((_, index) => axisOf(index));
  if (node.inputs.some((_, index) => isSum(index))) return undefined;
  return axes[0] === 0 && axes.every((axis) => axis === undefined || axis === 0) ? 0 : undefined;
};

/** Axis of the rows of the first operand, where no other has any. */
export function onlyFirst({ node, axisOf, isSum }: PartsContext): number | undefined {
  const others = node.inputs.some((_, index) => isSum(index) || (index > 0 && axisOf(index) !== undefined));
  return others ? undefined : axisOf(0);
}

/** Operators that give the same elements another shape: the rows lie where as many elements are before them. */
export const partsOfView: Parts = (context) => {
  if (context.isSum(0)) return "sum";
  const axis = onlyFirst(context);
  const [from, to] = [context.node.input(0)?.tensorType?.shape, context.node.output(0).tensorType?.shape];
  if (axis === undefined || from === undefined || to === undefined) return undefined;
  const before = sizeOf(from.slice(0, axis));
  const found = to.findIndex(
    (dim, at) => holdsRows(dim, context.rows) && dimsEqual(sizeOf(to.slice(0, at)), before),
  );
  return found < 0 ? undefined : found;
};

/** Operators that repeat what is the same for all rows as often as there are rows. */
export const partsOfSpread: Parts = (context) => {
  const { node, rows, isSum } = context;
  if (isSum(0)) return undefined;
  const to = node.output(0).tensorType?.shape;
  const found = to?.flatMap((dim, axis) => (holdsRows(dim, rows) ? [axis] : [])) ?? [];
  const [axis] = found;
  if (axis === undefined || found.length > 1) return undefined;
  const own = context.axisOf(0);
  if (own === undefined) return axis;
  const aligned = own - rankOf(node.input(0) ?? node.output(0)) === axis - rankOf(node.output(0));
  return aligned ? axis : undefined;
};

/** Whether the size of an axis is a multiple of the number of rows. */
export function holdsRows(dim: Dim, rows: Dim): boolean {
  return symbolsOf(dim).size > 0 && modDims(dim, rows) === 0;
}
