/** Copies of a body in the place of the node that runs it: how loops of a known length are differentiated. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { cloneNode } from "../../ir/clone.ts";
import type { Dim } from "../../ir/dim.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";

/** Nodes that all copies of a body may have together. */
const mostNodes = 50_000;

/**
 * Puts a copy of a body at the builder's place and gives its results; what it reads from around it stays as
 * it is.
 */
export function copyBody(b: OpBuilder, body: Graph, inputs: readonly Value[]): Value[] {
  const map = new Map<Value, Value>();
  body.inputs.forEach((input, index) => {
    const value = inputs[index];
    if (value !== undefined) map.set(input, value);
  });
  for (const value of body.initializers) {
    if (value.initializer !== undefined) map.set(value, b.constant(value.initializer, value.name));
  }
  for (const node of body.nodes()) b.insert(cloneNode(node, map));
  return body.outputs.map((output) => map.get(output) ?? output);
}

/**
 * The number of iterations, where as many copies of the body can be made.
 *
 * @throws DiagnosticError E_UNKNOWN_SIZE where it is not known, E_LONG_LOOP where the copies would be too
 * many.
 */
export function countCopies(node: Node, body: Graph, iterations: Dim | undefined): number {
  if (typeof iterations !== "number")
    throw operatorErrors.E_UNKNOWN_SIZE(node, "the number of its iterations");
  const nodes = [...body.allNodes()].length * iterations;
  if (nodes > mostNodes) throw operatorErrors.E_LONG_LOOP(node, iterations, nodes, mostNodes);
  return iterations;
}
