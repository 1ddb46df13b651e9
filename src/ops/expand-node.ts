/** Puts the decomposition of an operator in the place of a node. */
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { replaceValue } from "../ir/replace.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "./builder.ts";
import type { Op } from "./record.ts";

/**
 * Replaces a node whose operator has an `expand` rule, and removes it.
 *
 * @returns each result with what stands for it now.
 */
export function expandNode(graph: Graph, node: Node, op: Op, opset: number): ReadonlyMap<Value, Value> {
  const b = new OpBuilder({ graph, before: node }, opset);
  b.source = node;
  const replaced = new Map<Value, Value>();
  op.expand(node, b).forEach((replacement, index) => {
    const output = node.outputs[index];
    if (output == null || replacement === null) return;
    replaceValue(output, replacement);
    replaced.set(output, replacement);
  });
  graph.remove(node);
  return replaced;
}
