/** What every emitted graph goes through: clean-up, legalisation for the provider, several steps per run, names. */
import type { Model } from "../ir/model.ts";
import { assignNames } from "../ir/names.ts";
import { verifyModel } from "../ir/verify.ts";
import type { PipelineStep } from "../pass/pipeline.ts";
import { isInParts } from "../training/micro-batch.ts";
import { wholeOptimizations } from "./optimizations.ts";
import { type Instrumentation, runPasses } from "./passes.ts";
import type { CompileSettings } from "./request.ts";

/** Finishes a graph in place. */
export function finishGraph(
  model: Model,
  stepsPerRun: number,
  settings: CompileSettings,
  watch: Instrumentation,
): void {
  runPasses(model, [...polish(settings), ...(isInParts(model.graph) ? [] : recomputeSteps(settings))], watch);
  if (stepsPerRun > 1) runPasses(model, [{ pass: "repeat", options: { steps: stepsPerRun } }], watch);
  model.irVersion = Math.min(Math.max(model.irVersion, 10), 13);
  model.functions.clear();
  assignNames(model, { nodes: true });
  verifyModel(model);
}

/** Cleans up a graph with all that it computes, and makes it legal for the provider. */
export function polish(settings: CompileSettings): PipelineStep[] {
  const tidy: PipelineStep[] = [
    { pass: "canonicalize" },
    { pass: "fold" },
    // Parameters are inputs by now.
    { pass: "cse", options: { scalars: true } },
    { pass: "dce" },
  ];
  const shortened = wholeOptimizations(settings.disable, { low: settings.precision !== "fp32" });
  const steps: PipelineStep[] = [
    { pass: "write-out" },
    // Of segments that are computed again, sizes would be read in one branch and used outside it.
    ...(recomputeSteps(settings).length === 0 ? [{ pass: "fold-shapes" }] : []),
    ...tidy,
    ...(shortened.length === 0 ? [] : [...shortened, ...tidy]),
  ];
  if (settings.provider === "cpu" && settings.precision !== "fp32")
    steps.push({ pass: "emulate-low" }, { pass: "dce" });
  if (settings.provider === "cuda") steps.push({ pass: "legalize-cuda" }, { pass: "dce" });
  return steps;
}

/** @param rows of a part of the batch, where it is computed in parts. */
export function recomputeSteps({ recompute, memory }: CompileSettings, rows?: number): PipelineStep[] {
  if (recompute === "none" || (recompute === "auto" && memory === undefined)) return [];
  const sizes = memory && { memory: memory.bytes, batch: rows ?? memory.batch, seq: memory.seq };
  const options = recompute === "all" || sizes === undefined ? {} : sizes;
  return [{ pass: "recompute", options }, { pass: "dce" }];
}
