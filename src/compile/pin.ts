/** Keeps initializers in place while passes run, by making inputs of them for that time. */
import { InternalError } from "../diagnostics/define.ts";
import type { Graph } from "../ir/graph.ts";
import type { Value } from "../ir/value.ts";

/**
 * Turns those of `values` that are initializers into inputs with a default, which no pass folds, merges or drops.
 *
 * @returns the inputs by the initializers that they stand for.
 */
export function pinInitializers(graph: Graph, values: Iterable<Value>): Map<Value, Value> {
  const pinned = new Map<Value, Value>();
  for (const value of values) {
    const { initializer } = value;
    if (!graph.initializers.has(value) || initializer === undefined) continue;
    const input = copyFacts(value, graph.addInput({ name: value.name, type: value.type, initializer }));
    value.replaceUses(input);
    graph.removeInitializer(value);
    pinned.set(value, input);
  }
  return pinned;
}

/** Makes initializers of pinned inputs again. */
export function unpinInitializers(graph: Graph, inputs: Iterable<Value>): void {
  for (const input of inputs) {
    if (input.initializer === undefined) throw new InternalError(`pinned "${input.name}" lost its data`);
    const value = copyFacts(input, graph.addInitializer(input.initializer, input.name));
    input.replaceUses(value);
    graph.removeInput(input);
  }
}

function copyFacts(from: Value, to: Value): Value {
  to.content = from.content;
  to.docString = from.docString;
  for (const [key, text] of from.metadata) to.metadata.set(key, text);
  return to;
}
