/** Where the time of a training step goes: what the runtime's profiler wrote, told by operator, module and phase. */
import { readFileSync } from "node:fs";
import { moduleMark } from "../ir/module-mark.ts";
import type { Node } from "../ir/node.ts";
import { allPhasesOf, type Phase } from "../ir/phase.ts";
import { readModel } from "../onnx/read.ts";
import { Artifact, type GraphName } from "../runtime/artifact.ts";
import { nodeOf, nodeRuns, readTrace, type Trace, type TraceEvent } from "../runtime/profile.ts";

/** Time and bytes of results, both of one update on average. */
export interface Share {
  readonly calls: number;
  /** Milliseconds. */
  readonly ms: number;
  readonly bytes: number;
}

export interface OperatorShare extends Share {
  readonly op: string;
}

export interface ModuleShare extends Share {
  /** Path of the module, or what is done in parentheses where it is of no module. */
  readonly module: string;
  /** Null for what the runtime put in that has no place in our graph, such as transposes. */
  readonly phase: Phase | null;
}

export interface StepProfile {
  /** Updates that the figures are a mean of. The first run of each graph is not among them where there are others. */
  readonly updates: number;
  /** Milliseconds of all nodes. */
  readonly ms: number;
  /** Longest first. */
  readonly operators: readonly OperatorShare[];
  /** Longest first. */
  readonly modules: readonly ModuleShare[];
  /** The traces as one in Chrome's format; events of nodes have `module` and `phase` among their arguments. */
  readonly events: readonly TraceEvent[];
}

/** What a node is put down to. */
type Place = Pick<ModuleShare, "module" | "phase">;

/** What the runtime adds when it rearranges the graph. */
const added: Place = { module: "(added by the runtime)", phase: null };

/**
 * Sums up the traces of a run.
 *
 * @param folder the artifact that was trained.
 */
export function profileSteps(folder: string, traces: readonly Trace[]): StepProfile {
  const artifact = Artifact.open(folder);
  const operators = new Map<string, OperatorShare>();
  const modules = new Map<string, ModuleShare>();
  const events: TraceEvent[] = [];
  let updates = 0;
  for (const { graph, file } of traces) {
    const found = readTrace(file);
    const name = graphNamed(graph);
    const placeOf = placesIn(artifact, name);
    const runs = nodeRuns(found);
    const last = runs.reduce((most, { run }) => Math.max(most, run), 0);
    const counted = runs.filter(({ run }) => last === 0 || run > 0);
    const perUpdate = updatesOfRun(artifact, name) * Math.max(1, last);
    updates = Math.max(updates, Math.floor(perUpdate + 1e-9));
    for (const { node, op, ms, bytes } of counted) {
      const place = placeOf(node);
      const one = { calls: 1 / perUpdate, ms: ms / perUpdate, bytes: bytes / perUpdate };
      operators.set(op, { op, ...sum(operators.get(op), one) });
      const key = `${place.phase}/${place.module}`;
      modules.set(key, { ...place, ...sum(modules.get(key), one) });
    }
    events.push(...found.map((event) => annotate(event, name, placeOf)));
  }
  const byTime = (a: Share, b: Share): number => b.ms - a.ms;
  return {
    updates,
    ms: [...operators.values()].reduce((total, { ms }) => total + ms, 0),
    operators: [...operators.values()].sort(byTime),
    modules: [...modules.values()].sort(byTime),
    events,
  };
}

function graphNamed(name: string): GraphName {
  return name === "grad" || name === "apply" ? name : "train";
}

/** Updates that one run of a graph makes, a part of one where several runs are needed. */
function updatesOfRun({ manifest }: Artifact, name: GraphName): number {
  if (name === "train") return manifest.graphs.train.stepsPerRun;
  return name === "grad" ? 1 / manifest.optimizer.accumulate : 1;
}

function sum(before: Share | undefined, { calls, ms, bytes }: Share): Share {
  if (before === undefined) return { calls, ms, bytes };
  return { calls: before.calls + calls, ms: before.ms + ms, bytes: before.bytes + bytes };
}

/** Names of nodes as the profiler has them, to what they are put down to. */
function placesIn(artifact: Artifact, name: GraphName): (node: string) => Place {
  const model = readModel(readFileSync(artifact.path(artifact.graph(name).file)), {
    folder: artifact.weightsFolder,
    followLinks: artifact.manifest.source.weights === "link",
  });
  const phases = allPhasesOf(model.graph);
  const nodes = new Map<string, Node>();
  for (const node of model.graph.allNodes()) nodes.set(node.name, node);
  return (full) => {
    const node = nodes.get(originalName(full, nodes));
    if (node === undefined) return added;
    return { module: moduleMark(node) ?? "(other)", phase: phases.get(node) ?? "forward" };
  };
}

/** Fused nodes are called after the first of those that they replace: `fused NAME`, `NAME/GemmTransposeFusion/`. */
function originalName(full: string, nodes: ReadonlyMap<string, Node>): string {
  let name = nodes.has(full) ? full : full.replace(/^fused /, "");
  while (!nodes.has(name) && name.includes("Fusion")) name = name.slice(0, name.lastIndexOf("/"));
  return name;
}

function annotate(event: TraceEvent, graph: GraphName, placeOf: (node: string) => Place): TraceEvent {
  const node = nodeOf(event);
  if (node === undefined) return { ...event, args: { ...event.args, graph } };
  const { module, phase } = placeOf(node);
  return { ...event, args: { ...event.args, graph, module, ...(phase === null ? {} : { phase }) } };
}
