/** Floating-point operations of nodes and graphs, as the records of their operators say. */
import { addDims, type Dim } from "../ir/dim.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { opOf } from "../ops/registry.ts";

/** Operations of one run of a node, its bodies included; 0 where its work is no product. */
export function flopsOf(node: Node): Dim {
  return opOf(node)?.cost.flops(node, graphFlops) ?? 0;
}

/** Operations of one run of a graph. */
function graphFlops(graph: Graph): Dim {
  return [...graph.nodes()].map(flopsOf).reduce<Dim>(addDims, 0);
}
