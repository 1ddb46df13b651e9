/** Memory of a training step: what the weights take, and what each phase adds, from a replay of the runtime's requests. */
import type { Graph } from "../ir/graph.ts";
import { allPhasesOf, type Phase, phases } from "../ir/phase.ts";
import type { Value } from "../ir/value.ts";
import { opOf } from "../ops/registry.ts";
import { bytesOf, type MemoryUse, memoryUse } from "./memory.ts";

/** Pages around a page of a mapped file that the system maps with it, in bytes (`fault_around_bytes` of Linux). */
const mappedAround = 65536;

export interface Footprint {
  readonly weights: {
    /** Constants as the file holds them. */
    readonly inFile: number;
    /** Copies that the runtime makes of matrices in the layout of its kernels, one for each use, when it opens the graph. */
    readonly packed: number;
    /** Constants that steps read where they lie: pages of the mapped file. */
    readonly mapped: number;
  };
  readonly use: MemoryUse;
  /** By how much resident memory grows from an opened graph to the peak of a step: what the arena takes and mapped pages. */
  readonly growth: number;
  readonly phases: readonly PhaseUse[];
  /** Phase of each moment of the replay. */
  readonly phaseAt: readonly Phase[];
}

export interface PhaseUse {
  readonly phase: Phase;
  readonly nodes: number;
  /** Largest sum of bytes of values while the phase runs. */
  readonly peak: number;
}

/**
 * @param graph one whose axes have sizes.
 * @param packs whether the runtime copies weights into the layout of its kernels.
 */
export function footprint(graph: Graph, packs = true): Footprint {
  const use = memoryUse(graph);
  const marks = allPhasesOf(graph);
  const phaseAt = use.moments.map(({ node }) => marks.get(node) ?? "forward");
  const weights = weightBytes(graph, packs);
  return {
    weights,
    use,
    growth: use.taken + weights.mapped,
    phases: phases.flatMap((phase) => phaseUse(phase, use, phaseAt)),
    phaseAt,
  };
}

function phaseUse(phase: Phase, use: MemoryUse, phaseAt: readonly Phase[]): PhaseUse[] {
  const moments = use.moments.filter((_, index) => phaseAt[index] === phase);
  if (moments.length === 0) return [];
  return [{ phase, nodes: moments.length, peak: Math.max(...moments.map(({ live }) => live)) }];
}

/** Bytes of the graph's constants, as a session that packs or does not pack holds them. */
export function weightBytes(graph: Graph, packs: boolean): Footprint["weights"] {
  let [inFile, packed, mapped] = [0, 0, 0];
  for (const value of graph.initializers) {
    const bytes = value.initializer?.byteLength ?? 0;
    inFile += bytes;
    const uses = readersOf(value, packs);
    packed += bytes * uses.filter((use) => use === "packed").length;
    const read = uses.reduce<number>((sum, use) => sum + (use === "packed" ? 0 : use), 0);
    if (value.initializer?.source.kind === "file") mapped += Math.min(bytes, read);
  }
  return { inFile, packed, mapped };
}

/** How each reader takes a constant: from a packed copy, or by so many bytes of where it lies. */
function readersOf(value: Value, packs: boolean): ("packed" | number)[] {
  return [...value.uses].flatMap<"packed" | number>((use) => {
    if (use.kind === "output") return [];
    const cost = opOf(use.node)?.cost;
    const bytes = value.initializer?.byteLength ?? 0;
    if (packs && cost?.packs === use.index && value.initializer?.dims.length === 2) return ["packed"];
    if (cost?.rows !== use.index) return [bytes];
    const width = bytes / Math.max(1, value.initializer?.dims[0] ?? 1);
    const rows = (bytesOf(use.node.output(0)) ?? 0) / Math.max(1, width);
    return [Math.ceil(rows) * Math.max(mappedAround, width)];
  });
}
