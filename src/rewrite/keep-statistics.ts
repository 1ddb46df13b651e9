/** Lets normalizations give the statistics that they compute, so that gradients need not compute them again. */
import type { Graph } from "../ir/graph.ts";
import { inferNode } from "../ops/infer.ts";

/** Adds mean and inverse deviation to the results of each LayerNormalization. Gives how many had none. */
export function keepStatistics(graph: Graph, opset: number): number {
  let kept = 0;
  for (const node of graph.allNodes()) {
    if (node.op !== "LayerNormalization" || node.domain !== "" || node.outputs.length !== 1) continue;
    node.addOutput();
    node.addOutput();
    inferNode(node, opset);
    kept += 1;
  }
  return kept;
}
