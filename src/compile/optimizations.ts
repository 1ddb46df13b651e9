/** Passes that leave out or shorten work and change nothing else, by where they run; each can be switched off. */
import type { PipelineStep } from "../pass/pipeline.ts";

/** On the adapted model with its loss, before it is differentiated. */
const forward = ["sink-selections", "split-causal", "join-products", "raise", "chunk-head"] as const;

/** Of those, what only pays where a gradient is taken, or rounds at other places than the operators before. */
const ofGradients: readonly string[] = ["raise", "chunk-head"];

/** On a graph with all that it computes. */
const whole = ["shorten"] as const;

/** Their names, as `disable` of a request takes them. */
export const optimizationNames = [...forward, ...whole, "micro-batch"] as const;

export type OptimizationName = (typeof optimizationNames)[number];

/** What a graph is for, as far as it decides what may be left out. */
export interface GraphUse {
  /** Whether nothing reads what the model makes of positions that see no other, not even themselves. */
  readonly paddingUnread: boolean;
  /** Whether it is going to be differentiated. */
  readonly differentiated: boolean;
  /** Whether products are rounded to 16 bits: what rounds at other places than the operators before is left out. */
  readonly low: boolean;
}

/** The steps for a graph that is about to be differentiated, or evaluated. */
export function forwardOptimizations(
  disabled: readonly OptimizationName[],
  { paddingUnread, differentiated, low }: GraphUse,
): PipelineStep[] {
  const options: Partial<Record<OptimizationName, PipelineStep["options"]>> = {
    "split-causal": { padded: paddingUnread },
  };
  const kept = forward
    .filter((name) => !disabled.includes(name) && ((differentiated && !low) || !ofGradients.includes(name)))
    .map((pass): PipelineStep => ({ pass, options: options[pass] ?? {} }));
  return kept.length === 0 ? [] : [{ pass: "dce" }, ...kept, { pass: "cse" }];
}

/** The steps for a finished graph, between those that tidy it. */
export function wholeOptimizations(
  disabled: readonly OptimizationName[],
  { low }: Pick<GraphUse, "low">,
): PipelineStep[] {
  return low ? [] : whole.filter((name) => !disabled.includes(name)).map((pass) => ({ pass }));
}
