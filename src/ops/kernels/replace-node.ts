/** Puts other values in the place of a node's results and deletes the node: how upgrades rebuild an operator. */
import type { Node } from "../../ir/node.ts";
import { replaceValue } from "../../ir/replace.ts";
import type { Value } from "../../ir/value.ts";

/** `replacements` stand for the results by position; null for results that nobody reads. The node is gone after. */
export function replaceNode(node: Node, replacements: readonly (Value | null)[]): void {
  node.outputs.forEach((output, index) => {
    const replacement = replacements[index];
    if (output !== null && replacement != null) replaceValue(output, replacement);
  });
  node.graph?.remove(node);
}
