/** Puts other values in the place of a node's results and deletes the node: how upgrades rebuild an operator. */
import type { Node } from "../../ir/node.ts";
import { replaceValue } from "../../ir/replace.ts";
import { refineShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";

/** `replacements` stand for the results by position; null for results that nobody reads. The node is gone after. */
export function replaceNode(node: Node, replacements: readonly (Value | null)[]): void {
  node.outputs.forEach((output, index) => {
    const replacement = replacements[index];
    if (output === null || replacement == null) return;
    keepShape(output, replacement);
    replaceValue(output, replacement);
  });
  node.graph?.remove(node);
}

/** What the file says of a result stays known of what stands for it. */
function keepShape(output: Value, replacement: Value): void {
  const [said, type] = [output.tensorType, replacement.tensorType];
  if (said === undefined || type === undefined || replacement.producer === undefined) return;
  replacement.type = tensorType(type.dtype, refineShape(type.shape, said.shape));
}
