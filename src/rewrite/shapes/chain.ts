/** The nodes that compute a shape vector, and how many of them nothing else asks for. */
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";

/** Chains longer than this are taken to be as long as this. */
const countLimit = 48;

/** Whether the node computes shape vectors only, of elements that inference knows. */
export function isShapeNode(node: Node): boolean {
  if (node.op === "Constant" || node.subgraphs().length > 0) return false;
  return node.outputs.every(
    (output) => output === null || (output.content !== undefined && output.type !== undefined),
  );
}

/** Nodes of one graph that stay, since something that is not replaced reads them. */
export class KeptNodes {
  readonly #kept = new Set<Node>();

  has(node: Node): boolean {
    return this.#kept.has(node);
  }

  /** Keeps what computes a value, and gives the nodes that are kept for the first time. */
  keep(value: Value): Node[] {
    const fresh: Node[] = [];
    const pending = [value];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      const node = next.producer;
      if (node === undefined || this.#kept.has(node) || !isShapeNode(node)) continue;
      this.#kept.add(node);
      fresh.push(node);
      for (const operand of node.inputs) if (operand?.content !== undefined) pending.push(operand);
    }
    return fresh;
  }

  /** How many nodes would go if nothing read the value any more: those of its chain that are not kept. */
  cost(value: Value): number {
    const seen = new Set<Node>();
    const pending = [value];
    for (let next = pending.pop(); next !== undefined && seen.size < countLimit; next = pending.pop()) {
      const node = next.producer;
      if (node === undefined || seen.has(node) || this.#kept.has(node) || !isShapeNode(node)) continue;
      if (node.graph !== value.producer?.graph) continue;
      seen.add(node);
      for (const operand of node.inputs) if (operand?.content !== undefined) pending.push(operand);
    }
    return seen.size;
  }
}
