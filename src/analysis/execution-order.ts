/** The order in which ONNX Runtime executes the nodes of a graph, from the order in which the file lists them. */

import { readValues } from "../ir/captures.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";

/**
 * Depth first from the nodes that nothing reads, the last of the file first; of the nodes that a node reads from, the last of
 * the file first; a node itself after all of those (`GraphViewer` of ONNX Runtime 1.30, default execution order). Exact where its
 * optimizers do not replace nodes; a node that they make counts as one at the end of the file.
 */
export function executionOrder(graph: Graph): Node[] {
  const nodes = [...graph.nodes()];
  const position = new Map(nodes.map((node, index) => [node, index]));
  const isRead = new Set<Node>();
  const producers = nodes.map((node) => {
    const found = new Set<number>();
    for (const value of readValues(node)) {
      const at = value.producer === undefined ? undefined : position.get(value.producer);
      if (at === undefined || value.producer === undefined) continue;
      found.add(at);
      isRead.add(value.producer);
    }
    return [...found].sort((a, b) => a - b);
  });
  const order: Node[] = [];
  const seen = new Uint8Array(nodes.length);
  const stack = nodes.flatMap((node, index) => (isRead.has(node) ? [] : [{ index, leaves: false }]));
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const node = nodes[top.index];
    if (node === undefined) continue;
    if (top.leaves) {
      order.push(node);
      continue;
    }
    if (seen[top.index] === 1) continue;
    seen[top.index] = 1;
    stack.push({ index: top.index, leaves: true });
    for (const index of producers[top.index] ?? [])
      if (seen[index] !== 1) stack.push({ index, leaves: false });
  }
  return order;
}
