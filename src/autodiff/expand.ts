/** Replaces operators that are differentiated through a decomposition, where a gradient will pass through them. */
import { InternalError } from "../diagnostics/define.ts";
import type { Graph } from "../ir/graph.ts";
import type { Value } from "../ir/value.ts";
import { expandNode } from "../ops/expand-node.ts";
import { opOf } from "../ops/registry.ts";
import { activeValues, contributingNodes, readsActive } from "./activity.ts";
import { requireRanks } from "./known-ranks.ts";

/**
 * Expands until none is left on the way, since a decomposition may contain operators that expand themselves.
 *
 * @returns the targets, each replaced where its node was expanded.
 */
export function expandActiveNodes(
  graph: Graph,
  targets: readonly Value[],
  variables: readonly Value[],
  opset: number,
): readonly Value[] {
  const current = [...targets];
  for (let round = 0; expandOnce(graph, current, variables, opset); round++) {
    if (round > 8) throw new InternalError("operators expand into each other without end");
  }
  return current;
}

function expandOnce(graph: Graph, targets: Value[], variables: readonly Value[], opset: number): boolean {
  const active = activeValues(graph, variables);
  const contributing = contributingNodes(graph, targets);
  let changed = false;
  for (const node of graph.nodes()) {
    const op = opOf(node);
    if (op?.gradient.kind !== "expand" || !contributing.has(node)) continue;
    if (!readsActive(node, active)) continue;
    requireRanks(node, node.inputs);
    for (const [output, replacement] of expandNode(graph, node, op, opset)) {
      targets.forEach((target, at) => {
        if (target === output) targets[at] = replacement;
      });
    }
    changed = true;
  }
  return changed;
}
