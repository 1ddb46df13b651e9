/** Passes that leave out or shorten work and change nothing else, by where they run; each can be switched off. */
import type { PipelineStep } from "../pass/pipeline.ts";

/** On the adapted model with its loss, before it is differentiated. */
const forward = ["sink-selections"] as const;

/** Their names, as `disable` of a request takes them. */
export const optimizationNames = [...forward] as const;

export type OptimizationName = (typeof optimizationNames)[number];

/** The steps for a graph that is about to be differentiated, or evaluated. */
export function forwardOptimizations(disabled: readonly OptimizationName[]): PipelineStep[] {
  return stepsOf(forward, disabled);
}

function stepsOf(names: readonly OptimizationName[], disabled: readonly OptimizationName[]): PipelineStep[] {
  const kept = names.filter((name) => !disabled.includes(name));
  return kept.length === 0 ? [] : ["dce", ...kept, "cse"].map((pass) => ({ pass }));
}
