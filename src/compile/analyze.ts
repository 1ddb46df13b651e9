/** What is known of a training step before it runs: parameters, operations, memory and communication. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type AxisSizes, bindAxes } from "../analysis/bind-axes.ts";
import { flopsOf } from "../analysis/flops.ts";
import { type Footprint, footprint } from "../analysis/footprint.ts";
import { bytesOf } from "../analysis/memory.ts";
import { cloneModel } from "../ir/clone.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../ir/model.ts";
import type { Node } from "../ir/node.ts";
import { allPhasesOf, type Phase, phases } from "../ir/phase.ts";
import { withRole } from "../ir/role.ts";
import { countElements } from "../ir/shape.ts";
import { readModel } from "../onnx/read.ts";
import { Artifact } from "../runtime/artifact.ts";
import { type FlatSlice, readSlices } from "../training/flatten.ts";
import { partsOfLoop } from "../training/micro-batch.ts";
import type { Compiled } from "./compile.ts";

/** A training graph with what belongs to it, from an artifact or just compiled. */
export interface Subject {
  readonly train: Model;
  readonly method: string;
  /** Elements of all weights of the source model. */
  readonly parameters: number;
  /** Whether the runtime copies weights into the layout of its kernels. */
  readonly prepack: boolean;
}

/** Whether a path names an artifact, as opposed to a model. */
export function isArtifact(path: string): boolean {
  return existsSync(join(path, "manifest.json"));
}

/** @throws DiagnosticError for folders that hold no artifact, and for sources that changed. */
export function openSubject(folder: string): Subject {
  const artifact = Artifact.open(folder);
  const { manifest } = artifact;
  const bytes = readFileSync(artifact.path(artifact.graph("train").file));
  const train = readModel(bytes, {
    folder: artifact.weightsFolder,
    followLinks: manifest.source.weights === "link",
  });
  return { train, method: manifest.method.name, parameters: manifest.parameters, prepack: manifest.prepack };
}

export function subjectOf({ graphs, plan, parameters, prepack }: Compiled): Subject {
  return { train: graphs.train, method: plan.adapter.name, parameters, prepack: prepack.packs };
}

/** Trained tensors and what they take. */
export interface ParameterTable {
  readonly method: string;
  readonly trainable: number;
  readonly parameters: number;
  /** Bytes of the trained values, as a checkpoint of the adapter holds them. */
  readonly checkpoint: number;
  /** Bytes of the optimizer's state. */
  readonly state: number;
  readonly tensors: readonly FlatSlice[];
}

export function parameterTable({ train, method, parameters }: Subject): ParameterTable {
  const { inputs } = train.graph;
  const tensors = withRole(inputs, "param").flatMap((param) => readSlices(param));
  const trainable = tensors.reduce((sum, { shape }) => sum + countElements(shape), 0);
  const state = withRole(inputs, "state").reduce((sum, value) => sum + (bytesOf(value) ?? 0), 0);
  return { method, trainable, parameters, checkpoint: 4 * trainable, state, tensors };
}

/** Floating-point operations of one step by phase; undefined where they depend on a size that the axes do not give. */
export type FlopTable = Readonly<Record<Phase, number | undefined>>;

export function flopTable(subject: Subject, sizes: AxisSizes): FlopTable {
  const { graph } = bound(subject, sizes);
  const marks = allPhasesOf(graph);
  const totals = new Map<Phase, number | undefined>(phases.map((phase) => [phase, 0]));
  const add = (part: Graph, times: number): void => {
    for (const node of part.nodes()) {
      const parts = partsOfLoop(node);
      if (parts !== undefined) for (const body of node.subgraphs()) add(body, times * parts);
      else addNode(node, times);
    }
  };
  const addNode = (node: Node, times: number): void => {
    const phase = marks.get(node) ?? "forward";
    const [flops, before] = [flopsOf(node), totals.get(phase)];
    totals.set(phase, before === undefined || typeof flops !== "number" ? undefined : before + times * flops);
  };
  add(graph, 1);
  return { forward: totals.get("forward"), backward: totals.get("backward"), update: totals.get("update") };
}

export function memoryTable(subject: Subject, sizes: AxisSizes): Footprint {
  return footprint(bound(subject, sizes).graph, subject.prepack);
}

function bound({ train }: Subject, sizes: AxisSizes): Model {
  const copy = cloneModel(train);
  bindAxes(copy, sizes);
  return copy;
}

/** Time and bytes of summing the gradients of several ranks, by the ring algorithm. */
export interface Communication {
  readonly ranks: number;
  /** Bytes that each rank sends, and receives, in a step. */
  readonly bytes: number;
  readonly seconds: number;
}

/**
 * Ring all-reduce: 2 (n - 1) messages of one n-th of the vector each (Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms
 * for clusters of workstations", 2009). Nothing is overlapped with computing.
 *
 * @param network bytes per second and seconds per message between two ranks.
 */
export function ringAllReduce(
  elements: number,
  ranks: number,
  network: { readonly bandwidth: number; readonly latency: number },
): Communication {
  const messages = 2 * (ranks - 1);
  const bytes = (messages * 4 * elements) / ranks;
  return { ranks, bytes, seconds: messages * network.latency + bytes / network.bandwidth };
}
