/** Puts one value in the place of another without changing the names that a graph promises to the outside. */
import { InternalError } from "../diagnostics/define.ts";
import { Node } from "./node.ts";
import { Value } from "./value.ts";

/** Whether {@link replaceValue} would have to add an Identity, since `to` cannot take over the name of an output. */
export function needsIdentity(from: Value, to: Value): boolean {
  const output = [...from.uses].find((use) => use.kind === "output");
  if (output === undefined) return false;
  const promised = to.producer === undefined || [...to.uses].some((use) => use.kind === "output");
  return promised || to.producer?.graph !== output.graph;
}

/**
 * Lets every reader of `from` read `to`, and keeps the name of `from` where it is an output of its graph: a result of a
 * node takes that name over; an input, a constant or another output is passed through an Identity.
 */
export function replaceValue(from: Value, to: Value): void {
  if (from === to) return;
  const outputs = [...from.uses].filter((use) => use.kind === "output");
  from.replaceUses(to, (use) => use.kind === "output");
  if (outputs.length === 0) {
    if (to.producer !== undefined && to.name === "") to.name = from.name;
    return;
  }
  if (!needsIdentity(from, to)) {
    to.name = from.name;
    for (const [key, value] of from.metadata) to.metadata.set(key, value);
    from.replaceUses(to);
    return;
  }
  const output = new Value({ name: from.name, type: to.type ?? from.type, content: to.content });
  for (const [key, value] of from.metadata) output.metadata.set(key, value);
  const identity = new Node({ op: "Identity", inputs: [to], outputs: [output] });
  const graph = outputs[0]?.graph;
  if (graph === undefined) throw new InternalError(`output "${from.name}" has no graph`);
  graph.insert(identity);
  from.replaceUses(output);
}
