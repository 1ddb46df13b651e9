/** Removes what a rewrite left without readers. */
import type { Node } from "../ir/node.ts";

/**
 * Removes the node if nothing reads it, then likewise what computed its operands, without recursion. Constants that
 * nothing reads any more go with their readers.
 *
 * @param onLive told of each node on the way that something still reads.
 */
export function removeDead(root: Node, onLive: (node: Node) => void = () => {}): void {
  const pending = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (node.graph === undefined) continue;
    if (node.outputs.some((output) => output?.isUsed)) {
      onLive(node);
      continue;
    }
    const operands = [...node.inputs];
    node.graph.remove(node);
    for (const operand of operands) {
      if (operand?.producer !== undefined) pending.push(operand.producer);
      else if (operand?.isUsed === false && operand.graph?.initializers.has(operand)) {
        operand.graph.removeInitializer(operand);
      }
    }
  }
}
