/** Merges nodes that compute the same from the same operands, and equal constants that are no parameters. */
import { z } from "zod";
import type { Graph } from "../src/ir/graph.ts";
import { needsIdentity, replaceValue } from "../src/ir/replace.ts";
import type { Value } from "../src/ir/value.ts";
import { isDeterministic } from "../src/ops/traits.ts";
import { definePass } from "../src/pass/define.ts";
import { mayBeParameter } from "../src/rewrite/parameters.ts";
import { Signatures } from "../src/rewrite/signature.ts";

export default definePass({
  name: "cse",
  summary: "Merge nodes that compute the same, within each graph, and equal constants",
  options: z.strictObject({
    scalars: z
      .boolean()
      .default(false)
      .describe("Merge float initializers of one element, which could be parameters"),
  }),
  statistics: {
    nodes: "nodes merged into an equal one before them",
    constants: "initializers merged into an equal one",
  },
  run: (model, { options, stat }) => {
    const counts = { nodes: 0, constants: 0 };
    merge(model.graph, options.scalars, counts);
    stat("nodes", counts.nodes);
    stat("constants", counts.constants);
    return counts.nodes + counts.constants > 0;
  },
});

/**
 * Walks a graph once, in order. A body has a table of its own: a segment that is computed again inside an If, to save
 * memory, must not be merged with the first computation outside.
 */
function merge(graph: Graph, scalars: boolean, counts: { nodes: number; constants: number }): void {
  const signatures = new Signatures();
  const constants = new Map<string, Value>();
  for (const value of graph.initializers) {
    const text = mayMerge(value, scalars) ? signatures.ofTensor(value.initializer) : undefined;
    const known = text === undefined ? undefined : constants.get(text);
    if (text === undefined) continue;
    if (known === undefined) constants.set(text, value);
    else if (![...value.uses].some(({ kind }) => kind === "output")) {
      replaceValue(value, known);
      graph.removeInitializer(value);
      counts.constants += 1;
    }
  }
  const seen = new Map<string, readonly (Value | null)[]>();
  for (const node of graph.nodes()) {
    for (const body of node.subgraphs()) merge(body, scalars, counts);
    const text =
      isDeterministic(node) && !node.outputs.some(isParameter) ? signatures.ofNode(node) : undefined;
    if (text === undefined || !node.outputs.some((output) => output?.isUsed)) continue;
    const known = seen.get(text);
    if (known === undefined) {
      seen.set(text, node.outputs);
      continue;
    }
    // An Identity that passes a value on to a second output is all that is left of a merged node.
    const pairs = node.outputs.map((output, index) => ({ output, same: known[index] ?? null }));
    const stuck = pairs.some(({ output, same }) => output && same && needsIdentity(output, same));
    if (stuck && node.op === "Identity") continue;
    for (const { output, same } of pairs) if (output !== null && same !== null) replaceValue(output, same);
    graph.remove(node);
    counts.nodes += 1;
  }
}

function isParameter(value: Value | null): boolean {
  return value !== null && mayBeParameter(value);
}

function mayMerge(value: Value, scalars: boolean): boolean {
  const tensor = value.initializer;
  if (tensor === undefined || mayBeParameter(value)) return false;
  return scalars || /^(u?int|bool)/.test(tensor.dtype);
}
