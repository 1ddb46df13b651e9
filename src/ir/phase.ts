/** Which part of a training step a node belongs to, carried as metadata so that files and profiles keep it. */
import { readValues } from "./captures.ts";
import type { Graph } from "./graph.ts";
import type { Node } from "./node.ts";

export const phases = ["forward", "backward", "update"] as const;

export type Phase = (typeof phases)[number];

const key = "peft.phase";

/** Marks the nodes that `build` adds. Those made from a node of an earlier phase carry its mark, which is replaced. */
export function inPhase<T>(graph: Graph, phase: Phase, build: () => T): T {
  const before = new Set(graph.nodes());
  const result = build();
  for (const node of graph.nodes()) {
    if (before.has(node)) continue;
    node.metadata.set(key, phase);
    for (const body of node.subgraphs()) for (const inner of body.allNodes()) inner.metadata.set(key, phase);
  }
  return result;
}

/**
 * The phase of each node of a graph: its mark, or that of what it reads where this is later. Forward where nothing says more.
 */
export function phasesOf(graph: Graph): Map<Node, Phase> {
  const found = new Map<Node, Phase>();
  for (const node of graph.nodes()) {
    const reads = [...readValues(node)].map(({ producer }) => producer && found.get(producer));
    const marks = [markOf(node), ...reads].map((phase) => (phase === undefined ? 0 : phases.indexOf(phase)));
    const latest = Math.max(...marks);
    found.set(node, phases[latest] ?? "forward");
  }
  return found;
}

/** Says of a node that its body runs phases of its own, whatever the node itself reads. */
export function holdPhases(node: Node): void {
  node.metadata.set(key, "held");
}

/**
 * The same with the nodes of bodies, which belong at the earliest to the phase of the node that holds them, unless that holds
 * phases of its own.
 */
export function allPhasesOf(graph: Graph): Map<Node, Phase> {
  const found = new Map<Node, Phase>();
  collectPhases(graph, found, "forward");
  return found;
}

function collectPhases(graph: Graph, found: Map<Node, Phase>, outer: Phase): void {
  for (const [node, phase] of phasesOf(graph)) {
    const own = phases.indexOf(phase) > phases.indexOf(outer) ? phase : outer;
    found.set(node, own);
    const within = node.metadata.get(key) === "held" ? "forward" : own;
    for (const body of node.subgraphs()) collectPhases(body, found, within);
  }
}

/** The phase that a node is marked with. */
export function markOf(node: Node): Phase | undefined {
  return phases.find((phase) => phase === node.metadata.get(key));
}
