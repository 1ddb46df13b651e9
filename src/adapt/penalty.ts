/** Terms that a method adds to the loss: they leave the `adapt` pass as outputs, and the `loss` pass takes them in. */
import type { Graph } from "../ir/graph.ts";
import type { Value } from "../ir/value.ts";

const mark = "peft.penalty";

/** Says of a scalar output that it belongs to the loss. */
export function markPenalty(value: Value): void {
  value.metadata.set(mark, "true");
}

const judged = "peft.judged";

/** Says of an output that the loss judges it too, and with which weight. */
export function markJudged(value: Value, weight: number): void {
  value.metadata.set(judged, String(weight));
}

/** Removes outputs that the loss judges beside the model's own, and gives them. */
export function takeJudged(graph: Graph): { readonly output: Value; readonly weight: number }[] {
  const found = graph.outputs.flatMap((output) => {
    const weight = output.metadata.get(judged);
    return weight === undefined ? [] : [{ output, weight: Number(weight) }];
  });
  const taken = new Set(found.map(({ output }) => output));
  if (taken.size > 0) graph.setOutputs(graph.outputs.filter((output) => !taken.has(output)));
  return found;
}

/** Removes the terms from the outputs of a graph and gives them. */
export function takePenalties(graph: Graph): Value[] {
  const terms = graph.outputs.filter((output) => output.metadata.has(mark));
  if (terms.length > 0) graph.setOutputs(graph.outputs.filter((output) => !terms.includes(output)));
  return terms;
}
