/** Evaluation of operators that are defined by an equivalent of other operators. */
import { InternalError } from "../../diagnostics/define.ts";
import { Graph } from "../../ir/graph.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../builder.ts";
import { evaluateGraph } from "../evaluate.ts";
import type { NDArray } from "../ndarray.ts";

/** Builds the equivalent of a node on the given operands. */
export type Equivalent = (b: OpBuilder, inputs: readonly (Value | undefined)[]) => readonly (Value | null)[];

/** Builds the equivalent in a graph of its own and runs it. */
export function evaluateEquivalent(
  operands: readonly (NDArray | undefined)[],
  options: { readonly opset: number; readonly exact: boolean },
  equivalent: Equivalent,
): (NDArray | null)[] {
  const graph = new Graph();
  const feeds = new Map<Value, NDArray>();
  const inputs = operands.map((operand) => {
    if (operand === undefined) return undefined;
    const value = graph.addInput({ name: "operand", type: tensorType(operand.dtype, operand.shape) });
    feeds.set(value, operand);
    return value;
  });
  const results = equivalent(new OpBuilder({ graph }, options.opset), inputs);
  for (const result of results) if (result !== null) graph.addOutput(result);
  const arrays = evaluateGraph(graph, feeds, options);
  let next = 0;
  return results.map((result) => {
    if (result === null) return null;
    const array = arrays[next++];
    if (array === undefined) throw new InternalError("a result of an equivalent is missing");
    return array;
  });
}
