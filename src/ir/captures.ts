/** What bodies read from the graphs around them. */
import type { Graph } from "./graph.ts";
import type { Node } from "./node.ts";
import type { Value } from "./value.ts";

/** Values that a body, or one inside it, reads and that are defined outside of it. */
export function capturesOf(body: Graph): Set<Value> {
  const [read, inner] = [new Set<Value>(), new Set<Value>()];
  const visit = (graph: Graph): void => {
    for (const value of [...graph.inputs, ...graph.initializers]) inner.add(value);
    for (const node of graph.nodes()) {
      for (const input of node.inputs) if (input !== null) read.add(input);
      for (const output of node.outputs) if (output !== null) inner.add(output);
      node.subgraphs().forEach(visit);
    }
    for (const output of graph.outputs) read.add(output);
  };
  visit(body);
  for (const value of inner) read.delete(value);
  return read;
}

/** Values that a node reads, those that its bodies read from around them included; one that is read twice stands twice. */
export function* readValues(node: Node): Generator<Value, void, undefined> {
  for (const input of node.inputs) if (input !== null) yield input;
  for (const body of node.subgraphs()) yield* capturesOf(body);
}
