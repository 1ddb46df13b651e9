/** Puts the nodes of a graph back into an order in which every value is computed before it is read. */
import { InternalError } from "../diagnostics/define.ts";
import { readValues } from "./captures.ts";
import type { Graph } from "./graph.ts";
import type { Node } from "./node.ts";

/** Moves nodes behind what they read, and leaves the others as they stand. @throws InternalError for circles. */
export function restoreOrder(graph: Graph): void {
  const nodes = [...graph.nodes()];
  const known = new Set(nodes);
  const placed = new Set<Node>();
  const waiting = new Map<Node, Node[]>();
  const place = (first: Node): void => {
    const stack = [first];
    for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
      const missing = [...readValues(node)]
        .map(({ producer }) => producer)
        .find((producer) => producer !== undefined && known.has(producer) && !placed.has(producer));
      if (missing !== undefined) {
        waiting.set(missing, [...(waiting.get(missing) ?? []), node]);
        continue;
      }
      graph.detach(node);
      graph.insert(node);
      placed.add(node);
      stack.push(...(waiting.get(node) ?? []).reverse());
      waiting.delete(node);
    }
  };
  for (const node of nodes) place(node);
  if (placed.size !== nodes.length) throw new InternalError("nodes of a graph read each other in a circle");
}
