/** Checks of attributes that have a few values to choose from. */

import type { OperatorNode } from "../../diagnostics/operator.ts";
import { operatorErrors } from "../../diagnostics/operator.ts";

/** @throws DiagnosticError E_BAD_ATTRIBUTE where a text attribute is none of the choices. */
export function requireOneOf(
  node: OperatorNode,
  name: string,
  value: string,
  choices: readonly string[],
): void {
  if (choices.includes(value)) return;
  throw operatorErrors.E_BAD_ATTRIBUTE(node, name, `one of ${choices.join(", ")}`, `"${value}"`);
}

/** @throws DiagnosticError E_BAD_ATTRIBUTE where a node lacks an attribute that it must have. */
export function requireAttribute<T>(node: OperatorNode, name: string, value: T | undefined): T {
  if (value === undefined) throw operatorErrors.E_BAD_ATTRIBUTE(node, name, "a value", "nothing");
  return value;
}
