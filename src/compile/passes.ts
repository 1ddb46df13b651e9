/** The pass manager bound to the passes of this package: what every verb runs pipelines with. */
import { passes } from "../../passes/index.ts";
import type { Model } from "../ir/model.ts";
import { type PipelineOptions, type PipelineReport, runPipeline } from "../pass/manager.ts";
import type { PipelineStep } from "../pass/pipeline.ts";
import { printModel } from "../text/print.ts";

/** How a pipeline is watched. */
export type Instrumentation = Omit<PipelineOptions, "registry" | "print">;

/** Runs a pipeline of built-in passes on a model, in place. */
export function runPasses(
  model: Model,
  pipeline: string | readonly PipelineStep[],
  instrumentation: Instrumentation = {},
): PipelineReport {
  return runPipeline(model, pipeline, { ...instrumentation, registry: passes, print: printModel });
}
