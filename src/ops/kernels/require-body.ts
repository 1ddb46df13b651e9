/** Refuses bodies that take or yield another number of values than their node. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Node } from "../../ir/node.ts";

/**
 * @param counts inputs of the body, exactly, and outputs of it, at least.
 * @throws DiagnosticError `E_BAD_ATTRIBUTE` for the attribute `name`, which holds the body.
 */
export function requireBody(
  node: Node,
  name: string,
  body: Graph,
  counts: { readonly inputs: number; readonly outputs: number },
): void {
  const [inputs, outputs] = [body.inputs.length, body.outputs.length];
  if (inputs === counts.inputs && outputs >= counts.outputs) return;
  const expected = `a body of ${counts.inputs} inputs and ${counts.outputs} outputs`;
  throw operatorErrors.E_BAD_ATTRIBUTE(node, name, expected, `one of ${inputs} and ${outputs}`);
}

/** @throws DiagnosticError `E_BAD_OPERAND` where an operand from `first` on, each of which is an input of a body, is left out. */
export function requireOperands(node: Node, first = 0): void {
  const missing = node.inputs.findIndex((input, index) => index >= first && input === null);
  if (missing >= 0) throw operatorErrors.E_BAD_OPERAND(node, String(missing), "a value", "nothing");
}
