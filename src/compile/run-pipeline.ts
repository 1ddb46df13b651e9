/** Pipelines of the package's own passes and of passes from outside, for `opt` and the API. */
import { passes as builtIn } from "../../passes/index.ts";
import type { Model } from "../ir/model.ts";
import type { Pass } from "../pass/define.ts";
import { type PipelineReport, runPipeline as run } from "../pass/manager.ts";
import type { PipelineStep } from "../pass/pipeline.ts";
import { printModel } from "../text/print.ts";
import type { Instrumentation } from "./passes.ts";

export interface RunOptions extends Instrumentation {
  /** Passes that the pipeline may name beside those of the package. */
  readonly passes?: readonly Pass[];
}

/**
 * Runs passes in order on a model, in place.
 *
 * @param pipeline such as `canonicalize,cse{scalars=true},dce`, or steps.
 * @throws DiagnosticError for a bad pipeline, and what passes throw for bad input.
 */
export function runPipeline(
  model: Model,
  pipeline: string | readonly PipelineStep[],
  { passes = [], ...watch }: RunOptions = {},
): PipelineReport {
  return run(model, pipeline, { ...watch, registry: [...builtIn, ...passes], print: printModel });
}
