/** Selection rules of operators whose result at an index of one axis needs its operands at one index only. */
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import { rankOf } from "../facts.ts";
import type { Select, SelectContext } from "../record.ts";

/** Element-wise operators: operands that are broadcast along the axis, or do not have it, are read whole. */
export const selectElements: Select = (context) => {
  const { node, axis } = context;
  const rank = rankOf(node.output(0));
  if (node.inputs.some((input) => input !== null && input.tensorType?.shape === undefined)) return undefined;
  return rebuild(context, (input) => {
    const at = axis - rank + rankOf(input);
    return at >= 0 && input.tensorType?.shape?.[at] !== 1 ? at : undefined;
  });
};

/** Operators that treat each index of every axis but some by itself, and read further operands whole. */
export function selectBeside(mixed: (node: Node, rank: number) => readonly number[]): Select {
  return (context) => {
    const { node, axis } = context;
    const x = node.input(0);
    if (x === undefined || mixed(node, rankOf(x)).includes(axis)) return undefined;
    return rebuild(context, (_, index) => (index === 0 ? axis : undefined));
  };
}

/** The node again, with parts of those operands for which an axis is given. */
export function rebuild(
  { node, take, b }: SelectContext,
  axisOf: (input: Value, index: number) => number | undefined,
): Value {
  const inputs = node.inputs.map((input, index) => {
    const axis = input === null ? undefined : axisOf(input, index);
    return axis === undefined ? input : take(index, axis);
  });
  return b.op(node.op, inputs, Object.fromEntries(node.attributes), { domain: node.domain });
}
