/** Drops what nothing reads: nodes, initializers and functions. */
import { z } from "zod";
import type { Graph } from "../src/ir/graph.ts";
import { functionKey, type Model } from "../src/ir/model.ts";
import { sweepGraph } from "../src/ir/sweep.ts";
import { definePass } from "../src/pass/define.ts";

export default definePass({
  name: "dce",
  summary: "Drop nodes, initializers and functions that nothing reads",
  options: z.strictObject({}),
  statistics: {
    nodes: "nodes removed",
    initializers: "initializers removed",
    functions: "model-local functions removed",
  },
  run: (model, { stat }) => {
    const functions = removeFunctions(model);
    stat("functions", functions);
    const graphs = [model.graph, ...[...model.functions.values()].map(({ body }) => body)];
    const counts = graphs.map(sweepGraph);
    for (const { nodes, initializers } of counts) {
      stat("nodes", nodes);
      stat("initializers", initializers);
    }
    return functions > 0 || counts.some(({ nodes, initializers }) => nodes + initializers > 0);
  },
});

/** Removes the functions that no call reaches from the main graph. */
function removeFunctions(model: Model): number {
  const reached = new Set<string>();
  const pending: Graph[] = [model.graph];
  for (let graph = pending.pop(); graph !== undefined; graph = pending.pop()) {
    for (const node of graph.allNodes()) {
      const key = functionKey(node.domain, node.op, node.overload);
      const called = model.functions.get(key);
      if (called === undefined || reached.has(key)) continue;
      reached.add(key);
      pending.push(called.body);
    }
  }
  const dead = [...model.functions.keys()].filter((key) => !reached.has(key));
  for (const key of dead) model.functions.delete(key);
  return dead.length;
}
