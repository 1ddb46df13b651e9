/** What a loss is divided by, marked so that a pass may take it of a whole batch while the rest sees a part. */
import type { Graph } from "../ir/graph.ts";
import type { Value } from "../ir/value.ts";

const mark = "peft.divisor";

/** Says of a scalar that the loss times it is a sum over the rows of a batch. */
export function markDivisor(value: Value): void {
  value.metadata.set(mark, "true");
}

/** Gives the marked values of a graph, which are not marked any more. */
export function takeDivisors(graph: Graph): Value[] {
  const found: Value[] = [];
  for (const node of graph.nodes()) {
    for (const output of node.outputs) if (output?.metadata.delete(mark)) found.push(output);
  }
  return found;
}
