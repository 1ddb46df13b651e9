/** Refuses to differentiate a node of whose operands not even the rank is known. */
import { autodiffErrors } from "../diagnostics/autodiff.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { paramAt } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";

/**
 * Rules read the ranks of all that is computed with, be it differentiated or not; sizes and places aside. Those that say they
 * read none still read element types.
 *
 * @throws DiagnosticError `E_UNKNOWN_TYPE`.
 */
export function requireRanks(node: Node, values: readonly (Value | null)[]): void {
  const op = opOf(node);
  const host = node.inputs.filter((_, index) => op?.hostInputs.has(paramAt(op.inputs, index)?.name ?? ""));
  for (const value of values) {
    if (value === null || host.includes(value)) continue;
    if (value.type !== undefined && value.tensorType === undefined) continue;
    const known = op?.rankFree === true ? value.tensorType : value.tensorType?.shape;
    if (known === undefined)
      throw autodiffErrors.E_UNKNOWN_TYPE({ op: node.op, name: node.name }, value.name);
  }
}
