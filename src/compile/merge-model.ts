/** The plain inference model with a trained adapter inside: the source's own graph with other weights. */

import { type Share, sharesOf } from "../adapt/companions.ts";
import type { BoundAdapter } from "../adapt/define.ts";
import { notWeights } from "../adapt/define-structure.ts";
import { keyOf, keyPrefix } from "../adapt/parameters.ts";
import { type BaseParameter, findBaseParameters, tieOutputs } from "../adapt/saved.ts";
import { basePath, ownerPath } from "../adapt/select.ts";
import { findSites, type Site } from "../analysis/sites.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { cloneModel } from "../ir/clone.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Model } from "../ir/model.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { fromTensor } from "../ops/ndarray.ts";
import { mayHideModules, unfuseGraph } from "../rewrite/unfuse.ts";
import { mergeJobs, newWeights, replaceWeights } from "./merge.ts";
import { runPasses } from "./passes.ts";
import type { RoundingLoss } from "./requantize.ts";

/** Runs a graph without inputs and gives its outputs by name. */
export type RunConstantGraph = (model: Model) => Promise<ReadonlyMap<string, Tensor>>;

export interface MergeRequest {
  readonly adapter: BoundAdapter;
  /** Module paths that the adapter was attached to. */
  readonly paths: readonly string[];
  /** Trained tensors by checkpoint key. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly run: RunConstantGraph;
  /** Merges into quantised weights, too, and is told what rounding lost; without it they are refused. */
  readonly requantize?: (loss: RoundingLoss) => void;
  /** Called after each module. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Version of ai.onnx that the merging graphs are written in. */
const mergeOpset = 20;

/**
 * Merges one module after another, so that no more than one weight is in memory beside what is written. Functions are
 * inlined and Constant nodes become initializers only where an adapted module stands in one.
 *
 * @throws DiagnosticError `E_MERGE_REFUSED` where a method cannot be folded into a module's weights, `E_MERGE_MODULE` where
 * the source lacks a module or parameter that was trained.
 */
export async function mergeModel(source: Model, request: MergeRequest): Promise<Model> {
  const { adapter, paths, tensors, run, requantize, onProgress } = request;
  if (adapter.structure !== undefined)
    throw adaptErrors.E_MERGE_REFUSED("the model", adapter.name, notWeights);
  const opened = openForMerging(source, request);
  const { model, sites } = opened;
  const jobs = mergeJobs(adapter, adaptedSites(sites, paths), tensors, mergeOpset, {
    requantize: requantize !== undefined,
  });
  const results = new Map<Site, ReadonlyMap<string, Tensor>>();
  for (const [index, job] of jobs.entries()) {
    results.set(job.site, await run(job.model));
    onProgress?.(index + 1, jobs.length);
  }
  const parameters = parametersOf(model.graph, sites, adapter);
  replaceWeights(model.graph, newWeights(parameters, results, tensors, requantize));
  return opened.fused?.() ?? model;
}

/**
 * The model that a merged one was made of, by the tensors that were merged into it: equal to the source but for rounding. What
 * comes out is merged again, and has to give the merged weights back.
 *
 * @throws DiagnosticError `E_UNMERGE_REFUSED` where merged weights do not say what they were, `E_UNMERGE_INEXACT` where float32 has
 * lost it, `E_MERGE_MODULE`.
 */
export async function unmergeModel(merged: Model, request: MergeRequest): Promise<Model> {
  const { adapter, paths, tensors, run, onProgress } = request;
  if (adapter.structure !== undefined)
    throw adaptErrors.E_UNMERGE_REFUSED("the model", adapter.name, notWeights);
  const { model, sites, fused } = openForMerging(merged, request);
  const adapted = adaptedSites(sites, paths);
  const added = new Set(sharesOf(adapter, adapted, tensors).flatMap(keysOf));
  const whole = [...tensors.keys()].find((key) => key.startsWith(keyPrefix) && !added.has(key));
  if (whole !== undefined)
    throw adaptErrors.E_UNMERGE_REFUSED("the model", adapter.name, trainedWhole(whole));
  const results = new Map<Site, ReadonlyMap<string, Tensor>>();
  const jobs = mergeJobs(adapter, adapted, tensors, mergeOpset, { reverse: true });
  for (const [index, { site, model: job }] of jobs.entries()) {
    results.set(site, await run(job));
    onProgress?.(index + 1, jobs.length);
  }
  replaceWeights(model.graph, newWeights(parametersOf(model.graph, sites, adapter), results, tensors));
  const source = fused?.() ?? model;
  const { onProgress: _, ...again } = request;
  requireSame(await mergeModel(source, again), merged, adapter.name);
  return source;
}

function parametersOf(graph: Graph, sites: readonly Site[], { tied }: BoundAdapter): BaseParameter[] {
  const found = findBaseParameters(graph, sites);
  return tied === "both" ? tieOutputs(found, sites) : found;
}

/** Largest share of a weight's norm by which it may be off after both ways in float32. */
const mostOff = 1e-4;

function requireSame({ graph }: Model, wanted: Model, method: string): void {
  const weights = new Map([...wanted.graph.initializers].map(({ name, initializer }) => [name, initializer]));
  for (const { name, initializer } of graph.initializers) {
    const other = weights.get(name);
    if (initializer === undefined || other === undefined || !isFloat(other.dtype)) continue;
    if (initializer.source === other.source) continue;
    const [own, given] = [fromTensor(initializer).numbers, fromTensor(other).numbers];
    let [off, all] = [0, 0];
    for (let i = 0; i < given.length; i++) {
      off += ((own[i] ?? Number.NaN) - (given[i] ?? 0)) ** 2;
      all += (given[i] ?? 0) ** 2;
    }
    const share = Math.sqrt(off / (all || 1));
    if (!(share <= mostOff)) throw adaptErrors.E_UNMERGE_INEXACT(name, method, share);
  }
}

function trainedWhole(key: string): string {
  return `"${key}" was trained itself, and its value before is not in the merged model`;
}

interface Opened {
  readonly model: Model;
  readonly sites: readonly Site[];
  /** Where `model` is an unfused form of the source: the source's own form with the weights of `model`. */
  readonly fused?: () => Model;
}

/** A copy of the source in whose main graph everything stands that was trained. */
function openForMerging(source: Model, request: MergeRequest): Opened {
  const model = cloneModel(source);
  const asWritten = findSites(model.graph);
  const unfused = mayHideModules(model.graph) ? openFused(cloneModel(source), request) : undefined;
  if (unfused !== undefined) return unfused;
  if (findMissing(model.graph, asWritten, request) === undefined) return { model, sites: asWritten };
  runPasses(model, "inline-functions,lift-constants,infer-shapes,open-quantised");
  const sites = findSites(model.graph);
  const missing = findMissing(model.graph, sites, request);
  if (missing !== undefined) throw adaptErrors.E_MERGE_MODULE(missing);
  return { model, sites };
}

/** The same for a model whose modules are hidden in fused nodes: an unfused copy, whose weights go back afterwards. */
function openFused(fused: Model, request: MergeRequest): Opened | undefined {
  runPasses(fused, "inline-functions,lift-constants");
  const model = cloneModel(fused);
  runPasses(model, "upgrade-opset,infer-shapes");
  if (unfuseGraph(model.graph, model.opset) === 0) return undefined;
  const sites = findSites(model.graph);
  const missing = findMissing(model.graph, sites, request);
  if (missing !== undefined) throw adaptErrors.E_MERGE_MODULE(missing);
  const before = weightsOf(model.graph);
  return {
    model,
    sites,
    fused: () => (fuseWeights(fused.graph, model.graph, before) ? fused : model),
  };
}

/** The initializers of a graph with their tensors. */
function weightsOf(graph: Graph): ReadonlyMap<Value, Tensor> {
  const tensors = new Map<Value, Tensor>();
  for (const value of graph.initializers) {
    if (value.initializer !== undefined) tensors.set(value, value.initializer);
  }
  return tensors;
}

/**
 * Puts what changed in `unfused` since `before` into `fused`, whose tensors are the same objects.
 *
 * @returns false where a weight has no place in the fused form, such as the copy of one that two modules share.
 */
function fuseWeights(fused: Graph, unfused: Graph, before: ReadonlyMap<Value, Tensor>): boolean {
  const holders = new Map([...weightsOf(fused)].map(([value, tensor]) => [tensor, value]));
  const changes = new Map<Value, Tensor>();
  for (const [value, tensor] of weightsOf(unfused)) {
    const old = before.get(value);
    if (tensor === old) continue;
    const holder = holders.get(old ?? tensor);
    if (holder === undefined) return false;
    changes.set(holder, tensor);
  }
  for (const [holder, tensor] of changes) holder.initializer = tensor;
  return true;
}

/** The first module or parameter that was trained and is not in the graph. */
function findMissing(
  graph: Graph,
  sites: readonly Site[],
  { adapter, paths, tensors }: MergeRequest,
): string | undefined {
  const adapted = adaptedSites(sites, paths);
  const found = new Set(adapted.map(basePath));
  const path = paths.find((each) => !found.has(each));
  if (path !== undefined) return path;
  const added = new Set(sharesOf(adapter, adapted, tensors).flatMap(keysOf));
  const base = new Set(findBaseParameters(graph, sites).map(({ module, name }) => `${module}.${name}`));
  const trained = [...tensors.keys()].filter((key) => key.startsWith(keyPrefix) && !added.has(key));
  return trained
    .map((key) => key.slice(keyPrefix.length).replace(/\.base_layer\.(?=[^.]*$)/, "."))
    .find((name) => !base.has(name));
}

function keysOf({ adapter, sites }: Share): string[] {
  return [
    ...Object.values(adapter.shared(sites)).map((spec) => keyOf(spec, undefined)),
    ...sites.flatMap((site) =>
      Object.values(adapter.parameters(site, sites)).map((spec) => keyOf(spec, ownerPath(site))),
    ),
  ];
}

function adaptedSites(sites: readonly Site[], paths: readonly string[]): Site[] {
  const wanted = new Set(paths);
  return sites.filter((site) => wanted.has(basePath(site)));
}
