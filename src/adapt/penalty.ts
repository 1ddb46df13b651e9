/** Terms that a method adds to the loss: they leave the `adapt` pass as outputs, and the `loss` pass takes them in. */
import type { Graph } from "../ir/graph.ts";
import type { Value } from "../ir/value.ts";

const mark = "peft.penalty";

/** Says of a scalar output that it belongs to the loss. */
export function markPenalty(value: Value): void {
  value.metadata.set(mark, "true");
}

/** Removes the terms from the outputs of a graph and gives them. */
export function takePenalties(graph: Graph): Value[] {
  const terms = graph.outputs.filter((output) => output.metadata.has(mark));
  if (terms.length > 0) graph.setOutputs(graph.outputs.filter((output) => !terms.includes(output)));
  return terms;
}
