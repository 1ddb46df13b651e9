/** Removes what nothing in a graph reads. */
import type { Graph } from "./graph.ts";

/** What was removed. */
export interface Swept {
  readonly nodes: number;
  readonly initializers: number;
}

/**
 * Removes nodes and initializers that no output depends on, those in bodies too. One walk from last to first: a reader
 * is gone before the node that it alone read is looked at.
 */
export function sweepGraph(graph: Graph): Swept {
  let [nodes, initializers] = [0, 0];
  for (const node of graph.reversed()) {
    if (!node.outputs.some((output) => output?.isUsed)) {
      graph.remove(node);
      nodes += 1;
      continue;
    }
    for (const body of node.subgraphs()) {
      const inner = sweepGraph(body);
      nodes += inner.nodes;
      initializers += inner.initializers;
    }
  }
  for (const value of graph.initializers) {
    if (value.isUsed) continue;
    graph.removeInitializer(value);
    initializers += 1;
  }
  return { nodes, initializers };
}
