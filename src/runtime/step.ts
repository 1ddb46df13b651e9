/** What one step takes and gives. */
import type { Manifest } from "../artifact/manifest.ts";
import type { Field } from "../data/batch.ts";

/** What an update did. */
export interface StepResult {
  /** Number of the update, from 1. */
  readonly step: number;
  readonly loss: number;
  readonly gradNorm: number;
  /** The gradient was not finite, and nothing but the loss scale changed. */
  readonly skipped: boolean;
  readonly lr: number;
}

export interface Evaluation {
  readonly loss: number;
  /** Labelled positions that the loss is a mean over. */
  readonly count: number;
  /** Undefined where the graph has none, or where they were not asked for. */
  readonly logits: Field | undefined;
}

/** Batches that one call of {@link Trainer.run} takes, and updates that it makes of them. */
export function batchesAndUpdates({ optimizer, graphs }: Manifest): { batches: number; updates: number } {
  // Accumulation goes by the graphs for the halves of a step, which are never repeated.
  if (optimizer.accumulate > 1) return { batches: optimizer.accumulate, updates: 1 };
  return { batches: graphs.train.stepsPerRun, updates: graphs.train.stepsPerRun };
}
