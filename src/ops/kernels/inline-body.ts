/** Puts the nodes of a body where a builder stands, with values for its inputs. */
import { InternalError } from "../../diagnostics/define.ts";
import { cloneGraph } from "../../ir/clone.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";

/** What a body computes of `operands`; the body itself is not changed. */
export function inlineBody(b: OpBuilder, body: Graph, operands: readonly Value[]): Value[] {
  const copy = cloneGraph(body, new Map());
  for (const value of copy.initializers) {
    if (value.initializer !== undefined) value.replaceUses(b.constant(value.initializer, value.name));
  }
  copy.inputs.forEach((input, index) => {
    const operand = operands[index];
    if (operand === undefined) throw new InternalError(`no value for input ${index} of a body`);
    input.replaceUses(operand);
  });
  const results = [...copy.outputs];
  copy.setOutputs([]);
  for (const node of [...copy.nodes()]) {
    copy.detach(node);
    b.insert(node);
  }
  return results;
}
