/** Who reads a value. */
import type { Node } from "./node.ts";
import type { Value } from "./value.ts";

/** The one node that reads a value; undefined where there are more reads, none, or the graph gives it out. */
export function onlyReader(value: Value): Node | undefined {
  const [use, another] = value.uses;
  return use?.kind === "operand" && another === undefined ? use.node : undefined;
}
