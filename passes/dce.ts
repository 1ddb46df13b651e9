/** Drops what nothing reads: nodes, initializers and functions. */
import { z } from "zod";
import type { Graph } from "../src/ir/graph.ts";
import { functionKey, type Model } from "../src/ir/model.ts";
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
    const counts = graphs.map(sweep);
    for (const { nodes, initializers } of counts) {
      stat("nodes", nodes);
      stat("initializers", initializers);
    }
    return functions > 0 || counts.some(({ nodes, initializers }) => nodes + initializers > 0);
  },
});

/** One walk from last to first: a reader is gone before the node that it alone read is looked at. */
function sweep(graph: Graph): { nodes: number; initializers: number } {
  let [nodes, initializers] = [0, 0];
  for (const node of graph.reversed()) {
    if (!node.outputs.some((output) => output?.isUsed)) {
      graph.remove(node);
      nodes += 1;
      continue;
    }
    for (const body of node.subgraphs()) {
      const inner = sweep(body);
      nodes += inner.nodes;
      initializers += inner.initializers;
    }
  }
  for (const value of graph.initializers) {
    if (value.isUsed) continue;
    graph.removeInitializer(value);
    initializers += 1;
  }
  return { nodes, initializers };
}

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
