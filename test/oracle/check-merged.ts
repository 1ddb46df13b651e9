/** Merged weights against those of PEFT's merge_and_unload. */
import { weightElements } from "../../src/adapt/base-weight.ts";
import { basePath } from "../../src/adapt/select.ts";
import { findSites, type Site } from "../../src/analysis/sites.ts";
import { linkTied } from "../../src/analysis/tied-sites.ts";
import type { Compiled } from "../../src/compile/compile.ts";
import { mergeJobs } from "../../src/compile/merge.ts";
import type { Model } from "../../src/ir/model.ts";
import { fromTensor, NDArray } from "../../src/ops/ndarray.ts";
import { runModel } from "../harness/runtime.ts";
import { expectClose, tolerances } from "./close.ts";

/** Runs the merge job of every adapted site and compares what the set has for it. */
export async function checkMerged(
  model: Model,
  compiled: Compiled,
  expected: ReadonlyMap<string, NDArray>,
): Promise<void> {
  const wanted = [...expected].filter(([key]) => key.startsWith("merged."));
  if (wanted.length === 0) return;
  const { adapter, sites } = compiled.plan;
  const adapted = new Set(sites.map(basePath));
  const original = findSites(model.graph).filter((site) => adapted.has(basePath(site)));
  const merged = new Map<string, NDArray>();
  for (const job of mergeJobs(adapter, original, compiled.state.tensors, 20)) {
    const outputs = await runModel(job.model, new Map());
    job.model.graph.outputs.forEach((output, i) => {
      const array = outputs[i];
      if (array !== undefined)
        merged.set(`merged.${basePath(job.site)}.${output.name}`, inOwnLayout(job.site, output.name, array));
    });
  }
  const trained = compiled.state.tensors;
  const twice = adapter.tied === "both" ? tiedWeights(original) : new Map<string, Site>();
  for (const [key, array] of wanted) {
    const path = key.slice("merged.".length);
    const found = merged.get(key);
    if (found === undefined && isTiedTo(path, adapted)) continue;
    // Trained whole: what the checkpoint holds is what the merged model gets.
    const saved =
      trained.get(`base_model.model.${path}`) ??
      trained.get(`base_model.model.${path.replace(/bias$/, "base_layer.bias")}`);
    const own = found ?? (saved === undefined ? undefined : fromTensor(saved));
    expectClose(key, own, twice.has(path) ? mergedOnce(array, twice.get(path)) : array, tolerances.exact);
  }
}

/** A Conv1D keeps (in, out); the contract of `merge` is (out, in). */
function inOwnLayout(site: Site, name: string, array: NDArray): NDArray {
  if (site.kind !== "linear" || !site.conv1d || name !== "weight") return array;
  const [rows = 0, columns = 0] = array.shape;
  const values = array.numbers.map(
    (_, at) => array.numbers[(at % rows) * columns + Math.floor(at / rows)] ?? 0,
  );
  return new NDArray(array.dtype, [columns, rows], values);
}

/** Weights of tables and of the output layers tied to them, by name. */
function tiedWeights(sites: readonly Site[]): ReadonlyMap<string, Site> {
  const linked = linkTied(sites);
  const tables = new Set(linked.map(({ tiedTo }) => tiedTo));
  const tied = linked.filter((site) => site.tiedTo !== undefined || tables.has(basePath(site)));
  return new Map(tied.map((site) => [`${basePath(site)}.weight`, site]));
}

/** PEFT merges into a weight that two modules share once for each of them: W + 2 D, of which this makes W + D. */
function mergedOnce({ dtype, shape, numbers }: NDArray, site: Site | undefined): NDArray {
  const base = site === undefined ? [] : weightElements(site);
  return new NDArray(
    dtype,
    shape,
    numbers.map((value, i) => (value + (base[i] ?? 0)) / 2),
  );
}

/**
 * Merging into an embedding changes the head that is tied to it in PEFT (item 9 of the set's README); exporters store the
 * head as a matrix of its own, which stays as it was.
 */
function isTiedTo(path: string, adapted: ReadonlySet<string>): boolean {
  return path === "lm_head.weight" && !adapted.has("lm_head");
}
