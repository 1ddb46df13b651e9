/** Evaluates an artifact on a data set. */
import type { Dataset, Field, FieldRequest } from "../data/batch.ts";
import { Batches } from "../data/batches.ts";
import { TaskMetrics } from "./task-metrics.ts";
import type { Trainer } from "./trainer.ts";

export interface EvaluateOptions {
  readonly batch: number;
  readonly wanted: readonly FieldRequest[];
  readonly onProgress?: (done: number, total: number) => void;
  /** Stop after so many rows, for data without an end. */
  readonly rows?: number | undefined;
  /** Asked before every batch; true breaks off. */
  readonly shouldStop?: () => boolean;
}

/** Metrics over the whole data set, in its own order; undefined where they were broken off. */
export async function evaluateData(
  trainer: Trainer,
  dataset: Dataset,
  options: EvaluateOptions,
): Promise<Record<string, number> | undefined> {
  const rows = Math.min(options.rows ?? dataset.rows, dataset.rows);
  const batches = new Batches(dataset, {
    batch: options.batch,
    order: "in-order",
    wanted: options.wanted,
    epochRows: rows,
  });
  const metrics = new TaskMetrics(trainer.artifact.manifest.task.name);
  const label = trainer.artifact.graph("eval").inputs.find(({ role }) => role === "label");
  for (let i = 0; i < batches.perEpoch; i++) {
    if (options.shouldStop?.() === true) return undefined;
    const batch = batches.next();
    const { loss, count, logits } = await trainer.evaluate(batch, { logits: metrics.readsLogits });
    const labels: Field | undefined = label === undefined ? undefined : batch[label.field ?? label.name];
    metrics.add(loss, count, logits, labels);
    options.onProgress?.(i + 1, batches.perEpoch);
  }
  return metrics.result();
}
