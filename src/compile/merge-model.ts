/** The plain inference model with a trained adapter inside: the source's own graph with other weights. */

import type { BoundAdapter } from "../adapt/define.ts";
import { basePath } from "../adapt/select.ts";
import { findSites, type Site } from "../analysis/sites.ts";
import { cloneModel } from "../ir/clone.ts";
import type { Model } from "../ir/model.ts";
import type { Tensor } from "../ir/tensor.ts";
import { mergeJobs, newWeights, replaceWeights } from "./merge.ts";

/** Runs a graph without inputs and gives its outputs by name. */
export type RunConstantGraph = (model: Model) => Promise<ReadonlyMap<string, Tensor>>;

export interface MergeRequest {
  readonly adapter: BoundAdapter;
  /** Module paths that the adapter was attached to. */
  readonly paths: readonly string[];
  /** Trained tensors by checkpoint key. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly run: RunConstantGraph;
  /** Called after each module. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** Version of ai.onnx that the merging graphs are written in. */
const mergeOpset = 20;

/**
 * Merges one module after another, so that no more than one weight is in memory beside what is written.
 *
 * @throws DiagnosticError `E_MERGE_REFUSED` where a method cannot be folded into a module's weights.
 */
export async function mergeModel(
  source: Model,
  { adapter, paths, tensors, run, onProgress }: MergeRequest,
): Promise<Model> {
  const model = cloneModel(source);
  const sites = findSites(model.graph);
  const wanted = new Set(paths);
  const adapted = sites.filter((site) => wanted.has(basePath(site)));
  const jobs = mergeJobs(adapter, adapted, tensors, mergeOpset);
  const results = new Map<Site, ReadonlyMap<string, Tensor>>();
  for (const [index, job] of jobs.entries()) {
    results.set(job.site, await run(job.model));
    onProgress?.(index + 1, jobs.length);
  }
  replaceWeights(model.graph, newWeights(model.graph, sites, results, tensors));
  return model;
}
