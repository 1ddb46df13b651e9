/** What every emitted graph goes through: clean-up, legalisation for the provider, several steps per run, names. */
import type { Model } from "../ir/model.ts";
import { assignNames } from "../ir/names.ts";
import { verifyModel } from "../ir/verify.ts";
import type { PipelineStep } from "../pass/pipeline.ts";
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
  const tidy: PipelineStep[] = [
    { pass: "canonicalize" },
    { pass: "fold" },
    // Parameters are inputs by now.
    { pass: "cse", options: { scalars: true } },
    { pass: "dce" },
  ];
  const again = recomputeSteps(settings);
  const shortened = wholeOptimizations(settings.disable, { low: settings.precision !== "fp32" });
  const steps: PipelineStep[] = [
    { pass: "write-out" },
    // Of segments that are computed again, sizes would be read in one branch and used outside it.
    ...(again.length === 0 ? [{ pass: "fold-shapes" }] : []),
    ...tidy,
    ...(shortened.length === 0 ? [] : [...shortened, ...tidy]),
  ];
  if (settings.provider === "cpu" && settings.precision !== "fp32")
    steps.push({ pass: "emulate-low" }, { pass: "dce" });
  if (settings.provider === "cuda") steps.push({ pass: "legalize-cuda" }, { pass: "dce" });
  steps.push(...again);
  if (stepsPerRun > 1) steps.push({ pass: "repeat", options: { steps: stepsPerRun } });
  runPasses(model, steps, watch);
  model.irVersion = Math.min(Math.max(model.irVersion, 10), 13);
  model.functions.clear();
  assignNames(model, { nodes: true });
  verifyModel(model);
}

function recomputeSteps({ recompute, memory }: CompileSettings): PipelineStep[] {
  if (recompute === "none" || (recompute === "auto" && memory === undefined)) return [];
  const sizes = memory && { memory: memory.bytes, batch: memory.batch, seq: memory.seq };
  const options = recompute === "all" || sizes === undefined ? {} : sizes;
  return [{ pass: "recompute", options }, { pass: "dce" }];
}
