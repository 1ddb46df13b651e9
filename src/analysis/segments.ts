/** Parts of the forward graph between values through which everything that is trained passes. */
import { readValues } from "../ir/captures.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { type Phase, phasesOf } from "../ir/phase.ts";
import { roleOf } from "../ir/role.ts";
import type { Value } from "../ir/value.ts";
import { executionOrder } from "./execution-order.ts";

/** A stretch of forward nodes, in order of execution. */
export interface Segment {
  /** The one value that enters it, from which all of it is computed. */
  readonly entry: Value;
  readonly nodes: readonly Node[];
}

/**
 * Cuts the forward graph wherever a single value that depends on both batch and parameters is alive: the residual stream between
 * blocks. Masks, positions and parameters pass beside it. What comes before the first cut is in no segment.
 */
export function findSegments(graph: Graph): Segment[] {
  const phases = purposes(graph);
  const nodes = executionOrder(graph).filter((node) => phases.get(node) === "forward");
  const batch = dependents(graph, (role) => role === "batch");
  const trained = dependents(graph, (role) => role === "param");
  const at = new Map(nodes.map((node, index) => [node, index]));
  const isStream = (value: Value): boolean =>
    batch.has(value) && trained.has(value) && isFloat(value.tensorType?.dtype ?? "bool");
  const cuts: { readonly entry: Value; readonly index: number }[] = [];
  const alive = new Map<Value, number>();
  nodes.forEach((node, index) => {
    for (const output of node.outputs) {
      if (output === null || !isStream(output)) continue;
      const reads = [...output.uses].flatMap((use) => {
        const reader = use.kind === "operand" ? at.get(use.node) : undefined;
        return reader === undefined ? [] : [reader];
      });
      if (reads.length > 0) alive.set(output, Math.max(...reads));
    }
    for (const [value, last] of alive) if (last <= index) alive.delete(value);
    const [only] = alive.keys();
    if (alive.size === 1 && only !== undefined && only !== cuts.at(-1)?.entry)
      cuts.push({ entry: only, index });
  });
  return joinShort(
    cuts.map(({ entry, index }, i) => ({
      entry,
      nodes: nodes.slice(index + 1, (cuts[i + 1]?.index ?? nodes.length) + 1),
    })),
  );
}

/** The phase of each node by what it is for: a forward node that leads to no result of the forward graph serves the backward one. */
export function purposes(graph: Graph): Map<Node, Phase> {
  const phases = phasesOf(graph);
  const needed = new Set<Node>();
  const stack = graph.outputs.flatMap(({ producer }) =>
    producer !== undefined && phases.get(producer) === "forward" ? [producer] : [],
  );
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (needed.has(node)) continue;
    needed.add(node);
    for (const { producer } of readValues(node)) if (producer !== undefined) stack.push(producer);
  }
  for (const [node, phase] of phases) {
    if (phase === "forward" && !needed.has(node)) phases.set(node, "backward");
  }
  return phases;
}

/** A chain of nodes is cut behind each of them; only where values branch off and join again is there something to hold. */
function joinShort(segments: readonly Segment[]): Segment[] {
  const joined: { entry: Value; nodes: Node[] }[] = [];
  for (const { entry, nodes } of segments) {
    const before = joined.at(-1);
    const branches = [...entry.uses].filter(
      (use) => use.kind === "operand" && nodes.includes(use.node),
    ).length;
    if (before === undefined || branches > 1) joined.push({ entry, nodes: [...nodes] });
    else before.nodes.push(...nodes);
  }
  return joined;
}

/** Values that depend on inputs of a role. */
function dependents(graph: Graph, isWanted: (role: string | undefined) => boolean): Set<Value> {
  const found = new Set<Value>(graph.inputs.filter((input) => isWanted(roleOf(input))));
  for (const node of graph.nodes()) {
    if (![...readValues(node)].some((value) => found.has(value))) continue;
    for (const output of node.outputs) if (output !== null) found.add(output);
  }
  return found;
}
