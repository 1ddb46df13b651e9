/** Refuses operands whose rank their operator does not take. */
import { type OperatorNode, operatorErrors } from "../../diagnostics/operator.ts";
import type { Value } from "../../ir/value.ts";

/** @throws DiagnosticError `E_BAD_OPERAND` where the rank is known and lies outside of `least` to `most`. */
export function requireRank(
  node: OperatorNode,
  name: string,
  value: Value,
  least: number,
  most = least,
): void {
  const rank = value.tensorType?.shape?.length;
  if (rank === undefined || (rank >= least && rank <= most)) return;
  const wanted =
    most === Number.POSITIVE_INFINITY ? `${least} or more` : least === most ? least : `${least} to ${most}`;
  throw operatorErrors.E_BAD_OPERAND(node, name, `a tensor of rank ${wanted}`, `one of rank ${rank}`);
}
