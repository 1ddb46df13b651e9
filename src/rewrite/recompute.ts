/** Computes values of the forward graph again where the backward graph reads them, instead of keeping them. */
import { flopsOf } from "../analysis/flops.ts";
import { purposes, type Segment } from "../analysis/segments.ts";
import { readValues } from "../ir/captures.ts";
import { cloneNode, type ValueMap } from "../ir/clone.ts";
import { zeroTensor } from "../ir/constant.ts";
import { Graph } from "../ir/graph.ts";
import { Node } from "../ir/node.ts";
import { inPhase, type Phase } from "../ir/phase.ts";
import { restoreOrder } from "../ir/restore-order.ts";
import { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { dtypeOf, rankOf } from "../ops/facts.ts";
import { isDeterministic } from "../ops/traits.ts";

/** How much of a segment is computed again: all of it, or what is no product. */
export type Extent = "all" | "cheap";

/** What computing a segment again means. */
export interface Recomputation {
  /** Forward nodes that run once more. */
  readonly nodes: readonly Node[];
  /** Forward values that the backward graph will read from their copies. */
  readonly replaced: readonly Value[];
  /** Backward nodes that move into the body beside the copies. */
  readonly backward: readonly Node[];
}

/** Finds what can be computed again in each segment; undefined where nothing can. */
export function planRecomputations(
  graph: Graph,
  segments: readonly Segment[],
  extent: Extent,
): (Recomputation | undefined)[] {
  const phases = purposes(graph);
  let before = new Set<Node>();
  return segments.map((segment) => {
    const whole = repeatable(segment, phases, "all");
    // All that follows from the values of this segment, less what already follows from those of earlier ones.
    const following = followers(graph, whole.replaced, phases);
    const own = [...graph.nodes()].filter((node) => following.has(node) && !before.has(node));
    if (whole.replaced.length > 0) before = new Set([...before, ...following]);
    const chosen = extent === "all" ? whole : repeatable(segment, phases, extent);
    if (chosen.replaced.length === 0 || own.length === 0) return undefined;
    return { ...chosen, backward: own };
  });
}

function repeatable(
  { entry, nodes }: Segment,
  phases: ReadonlyMap<Node, Phase>,
  extent: Extent,
): { readonly nodes: readonly Node[]; readonly replaced: readonly Value[] } {
  const stream = new Set<Value>([entry]);
  const may = new Set<Value>();
  for (const node of nodes) {
    if (![...readValues(node)].some((value) => stream.has(value))) continue;
    const again =
      isDeterministic(node) && node.subgraphs().length === 0 && (extent === "all" || flopsOf(node) === 0);
    for (const output of node.outputs) {
      if (output === null) continue;
      stream.add(output);
      if (again) may.add(output);
    }
  }
  const isBackward = (node: Node): boolean => phases.get(node) === "backward";
  const replaced = [...may].filter((value) => readers(value).some(isBackward));
  const needed = new Set<Node>();
  const stack = [...replaced];
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    const node = value.producer;
    if (node === undefined || needed.has(node)) continue;
    needed.add(node);
    for (const input of readValues(node)) if (may.has(input)) stack.push(input);
  }
  return { nodes: nodes.filter((node) => needed.has(node)), replaced };
}

/** Backward nodes that follow from values, but for those that make the graph's outputs and what follows from them. */
function followers(graph: Graph, values: readonly Value[], phases: ReadonlyMap<Node, Phase>): Set<Node> {
  const found = new Set<Node>();
  const ends = new Set<Node>();
  const known = new Set(values);
  for (const node of graph.nodes()) {
    const reads = [...readValues(node)];
    if (phases.get(node) !== "backward" || !reads.some((value) => known.has(value))) continue;
    for (const output of node.outputs) if (output !== null) known.add(output);
    const isEnd =
      node.outputs.some((output) => output !== null && graph.outputs.includes(output)) ||
      reads.some(({ producer }) => producer !== undefined && ends.has(producer));
    (isEnd ? ends : found).add(node);
  }
  return found;
}

/**
 * Puts copies of forward nodes and the backward nodes that read them into one branch of an If whose condition is always true. The runtime
 * cannot know that; so it neither merges the copies with the originals nor runs them before the gradients are there that the
 * branch reads, and it plans the memory of the branch by itself.
 */
export function recompute(graph: Graph, plan: Recomputation, condition: Value, opset: number): void {
  const [body, otherwise] = [new Graph("again"), new Graph("never")];
  const map: ValueMap = new Map();
  inPhase(body, "backward", () => {
    for (const node of plan.nodes) {
      const copy = cloneNode(node, map);
      copy.name = node.name === "" ? "" : `${node.name}/again`;
      body.insert(copy);
    }
  });
  const inside = new Set(plan.backward);
  const anchor = plan.backward.at(-1)?.next;
  const results = plan.backward.flatMap((node) =>
    node.outputs.filter((output) => output !== null && readers(output).some((reader) => !inside.has(reader))),
  );
  for (const node of plan.backward) {
    graph.detach(node);
    body.insert(node);
    for (const holder of [node, ...node.subgraphs().flatMap((inner) => [...inner.allNodes()])]) {
      holder.inputs.forEach((input, index) => {
        const copy = input === null ? undefined : map.get(input);
        if (copy !== undefined) holder.setInput(index, copy);
      });
    }
  }
  const b = new OpBuilder({ graph: otherwise }, opset);
  const outer = results.map((result) => {
    if (result === null) return null;
    const value = new Value({ name: result.name, type: result.type });
    for (const [key, text] of result.metadata) value.metadata.set(key, text);
    result.replaceUses(value, (use) => use.kind === "operand" && inside.has(topOf(use.node, body)));
    body.addOutput(result);
    const shape = Array.from({ length: rankOf(result) }, () => 0);
    otherwise.addOutput(b.op("Identity", [b.constant(zeroTensor(dtypeOf(result), shape))]));
    return value;
  });
  const node = new Node({
    op: "If",
    inputs: [condition],
    attributes: { then_branch: body, else_branch: otherwise },
    outputs: outer,
    name: `again ${plan.nodes[0]?.name ?? ""}`.trim(),
  });
  inPhase(graph, "backward", () => graph.insert(node, anchor));
  restoreOrder(graph);
}

/** Nodes that read a value, each the one of the value's own graph in whose bodies it stands. */
function readers(value: Value): Node[] {
  const graph = value.producer?.graph ?? value.graph;
  return [...value.uses].flatMap((use) => (use.kind === "operand" ? [topOf(use.node, graph)] : []));
}

function topOf(node: Node, graph: Graph | undefined): Node {
  let top = node;
  while (top.graph !== graph && top.graph?.owner !== undefined) top = top.graph.owner;
  return top;
}
