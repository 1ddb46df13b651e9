/** Pipelines: passes with options in order, read from text and printed back to the same. */
import { nearNames } from "../diagnostics/define.ts";
import { passErrors } from "../diagnostics/pass.ts";
import type { Pass } from "./define.ts";
import { type GivenOptions, printOptions, resolveOptions } from "./options.ts";
import { parseCalls } from "./syntax.ts";

/** A pass to run, by name. */
export interface PipelineStep {
  readonly pass: string;
  readonly options?: GivenOptions;
}

/** A pass to run, found and its options checked. */
export interface ResolvedStep {
  readonly pass: Pass;
  /** What the pass's schema takes; options that are left out have their defaults. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** Reads `a,b{k=v}` into steps whose options still await their schema. @throws DiagnosticError E_PIPELINE_SYNTAX. */
function parsePipeline(text: string): PipelineStep[] {
  return parseCalls(text).map(({ name, options }) => ({ pass: name, options }));
}

/**
 * Finds the passes of a pipeline and checks their options.
 *
 * @throws DiagnosticError E_PIPELINE_SYNTAX, E_UNKNOWN_PASS, E_UNKNOWN_OPTION, E_BAD_OPTION.
 */
export function resolvePipeline(
  pipeline: string | readonly PipelineStep[],
  registry: readonly Pass[],
): ResolvedStep[] {
  const steps = typeof pipeline === "string" ? parsePipeline(pipeline) : pipeline;
  return steps.map(({ pass: name, options }) => {
    const pass = registry.find((candidate) => candidate.name === name);
    if (pass === undefined) {
      const names = registry.map((candidate) => candidate.name);
      throw passErrors.E_UNKNOWN_PASS(name, nearNames(name, names));
    }
    return { pass, options: resolveOptions(`pass "${name}"`, pass.options, options) };
  });
}

/** Canonical text of a pipeline: options in the order of their schema, only those that differ from their defaults. */
export function printPipeline(steps: readonly ResolvedStep[]): string {
  return steps
    .map(({ pass, options }) => {
      const text = printOptions(pass.options, options);
      return text === "" ? pass.name : `${pass.name}{${text}}`;
    })
    .join(",");
}
