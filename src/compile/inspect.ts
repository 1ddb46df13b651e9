/** What a model holds, for `inspect`: modules under their PyTorch paths, parameters, operators, inputs and outputs. */
import { weightShape } from "../adapt/base-weight.ts";
import { findHead, findSites, type Site, type SiteParameter } from "../analysis/sites.ts";
import { type Diagnostic, DiagnosticError } from "../diagnostics/define.ts";
import { cloneModel } from "../ir/clone.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import { functionKey, type Model } from "../ir/model.ts";
import { countElements } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import { formatType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { opOf } from "../ops/registry.ts";
import { logitsOutput } from "../training/tasks.ts";
import { runPasses } from "./passes.ts";
import { preparePipeline } from "./prepare.ts";

/** Where the bytes of a weight lie. */
type Storage =
  | { readonly kind: "file"; readonly file: string; readonly offset: number; readonly length: number }
  | { readonly kind: "memory"; readonly length: number };

/** A module that adapters can attach to. */
export interface ModuleInfo {
  readonly path: string;
  readonly kind: Site["kind"];
  /** Features or channels that it reads; rows of an embedding. */
  readonly in: number;
  /** Features or channels that it yields; width of an embedding. */
  readonly out: number;
  readonly kernel?: readonly number[];
  readonly groups?: number;
  readonly dtype: string;
  /** Elements of weight and bias. */
  readonly parameters: number;
  readonly bias: boolean;
  /** Whether it makes the logits, which `all-linear` leaves out. */
  readonly head: boolean;
  /** Other modules that read the same weight. */
  readonly tied: readonly string[];
  readonly weight: {
    readonly name: string;
    readonly storedAs: "torch" | "transposed";
    readonly storage: Storage;
  };
}

/** An operator that cannot be differentiated, or that we know nothing of. */
interface OperatorInfo {
  readonly op: string;
  readonly count: number;
  readonly reason: string;
  /** Names of the first few nodes. */
  readonly nodes: readonly string[];
}

export interface PortInfo {
  readonly name: string;
  readonly type: string;
}

export interface ModelInfo {
  readonly producer: string;
  readonly irVersion: number;
  readonly opsets: Readonly<Record<string, number>>;
  readonly nodes: number;
  readonly functions: readonly string[];
  readonly inputs: readonly PortInfo[];
  readonly outputs: readonly PortInfo[];
  readonly modules: readonly ModuleInfo[];
  /** Float initializers: elements, and bytes where they lie. */
  readonly parameters: {
    readonly count: number;
    readonly bytes: number;
    readonly types: Readonly<Record<string, number>>;
  };
  readonly unsupported: readonly OperatorInfo[];
  /** Why modules could be found only in part; absent where nothing stood in the way. */
  readonly problems?: readonly Diagnostic[];
}

/** Describes a model, which is not changed. */
export function inspectModel(model: Model): ModelInfo {
  const prepared = cloneModel(model);
  const problems = prepare(prepared);
  const producer = [model.producerName, model.producerVersion].filter((part) => part !== "").join(" ");
  return {
    producer,
    irVersion: model.irVersion,
    opsets: Object.fromEntries([...model.opsets].map(([domain, version]) => [domain || "ai.onnx", version])),
    nodes: [...model.graph.allNodes()].length,
    functions: [...model.functions.keys()],
    inputs: model.graph.inputs.map(portInfo),
    outputs: model.graph.outputs.map(portInfo),
    modules: moduleInfos(prepared.graph),
    parameters: countParameters(model),
    unsupported: unsupportedOperators(model),
    ...(problems === undefined ? {} : { problems }),
  };
}

/** Prepares as far as it goes; gives what stopped it. */
function prepare(model: Model): readonly Diagnostic[] | undefined {
  for (const pass of preparePipeline.split(",")) {
    try {
      runPasses(model, pass);
    } catch (error) {
      if (error instanceof DiagnosticError) return error.diagnostics;
      throw error;
    }
  }
  return undefined;
}

function moduleInfos(graph: Graph): ModuleInfo[] {
  const sites = findSites(graph);
  const logits = logitsOutput(graph);
  const head = logits === undefined ? undefined : findHead(sites, logits);
  const readers = ({ value, rows }: SiteParameter): Site[] =>
    sites.filter(({ weight }) => weight.value === value && weight.rows?.start === rows?.start);
  return sites.map((site) => {
    const { path, kind, weight, bias } = site;
    const tensor = weight.value.initializer;
    return {
      path,
      kind,
      ...shapeFacts(site),
      dtype: weight.quantized?.description ?? tensor?.dtype ?? "unknown",
      parameters: countElements(weightShape(site)) + (bias?.rows?.size ?? bias?.value.initializer?.size ?? 0),
      bias: bias !== undefined,
      head: site === head,
      tied: readers(weight)
        .filter((other) => other !== site)
        .map((other) => other.path),
      weight: { name: weight.value.name, storedAs: weight.storedAs, storage: storageOf(tensor) },
    };
  });
}

function shapeFacts(site: Site): Pick<ModuleInfo, "in" | "out" | "kernel" | "groups"> {
  switch (site.kind) {
    case "linear":
      return { in: site.inFeatures, out: site.outFeatures };
    case "conv":
      return { in: site.inChannels, out: site.outChannels, kernel: site.kernel, groups: site.groups };
    case "embedding":
      return { in: site.rows, out: site.width };
    case "norm":
      return { in: site.features, out: site.features };
  }
}

function storageOf(tensor: Tensor | undefined): Storage {
  if (tensor?.source.kind === "file") return { kind: "file", ...tensor.source.range };
  return { kind: "memory", length: tensor?.byteLength ?? 0 };
}

function portInfo(value: Value): PortInfo {
  return { name: value.name, type: formatType(value.type) };
}

function countParameters(model: Model): ModelInfo["parameters"] {
  const types: Record<string, number> = {};
  let count = 0;
  let bytes = 0;
  for (const graph of graphsOf(model)) {
    for (const { initializer } of graph.initializers) {
      if (initializer === undefined || !isFloat(initializer.dtype)) continue;
      count += initializer.size;
      bytes += initializer.byteLength;
      types[initializer.dtype] = (types[initializer.dtype] ?? 0) + initializer.size;
    }
  }
  return { count, bytes, types };
}

function* graphsOf(model: Model): Generator<Graph, void, undefined> {
  yield model.graph;
  for (const node of model.graph.allNodes()) yield* node.subgraphs();
}

function unsupportedOperators(model: Model): OperatorInfo[] {
  const found = new Map<string, { reason: string; nodes: string[] }>();
  const bodies = [model.graph, ...[...model.functions.values()].map(({ body }) => body)];
  for (const node of bodies.flatMap((graph) => [...graph.allNodes()])) {
    if (model.functions.has(functionKey(node.domain, node.op, node.overload)) || node.op === "Constant")
      continue;
    const op = opOf(node);
    if (op !== undefined && op.gradient.kind !== "none") continue;
    const name = node.domain === "" ? node.op : `${node.domain}.${node.op}`;
    const reason =
      op === undefined ? "unknown operator" : `no gradient: ${op.gradient.reason ?? "not differentiable"}`;
    const entry = found.get(name) ?? { reason, nodes: [] };
    entry.nodes.push(node.name);
    found.set(name, entry);
  }
  return [...found].map(([op, { reason, nodes }]) => ({
    op,
    count: nodes.length,
    reason,
    nodes: nodes.slice(0, 3),
  }));
}
