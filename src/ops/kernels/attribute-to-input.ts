/** Upgrade shared by operators whose lists of axes or sizes were attributes and became operands. */
import type { Node } from "../../ir/node.ts";
import type { OpBuilder } from "../builder.ts";

/** Makes operand `index` of a list attribute, where the node has it. */
export function attributeToInput(node: Node, b: OpBuilder, name: string, index: number): void {
  const list = node.ints(name, undefined);
  if (list === undefined) return;
  node.attributes.delete(name);
  node.setInput(index, b.ints(list));
}
