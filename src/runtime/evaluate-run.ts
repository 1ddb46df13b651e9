/** Evaluates an artifact on a data set. */
import { castField, type Dataset, type Field, type FieldRequest } from "../data/batch.ts";
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
  const { inputs, outputs } = trainer.artifact.graph("eval");
  const label = inputs.find(({ role }) => role === "label");
  const virtual = outputs.find(({ role }) => role === "logits")?.virtual ?? 0;
  for (let i = 0; i < batches.perEpoch; i++) {
    if (options.shouldStop?.() === true) return undefined;
    const batch = batches.next();
    const { loss, count, logits } = await trainer.evaluate(batch, { logits: metrics.readsLogits });
    const labels: Field | undefined = label === undefined ? undefined : batch[label.field ?? label.name];
    metrics.add(loss, count, logits && withoutVirtual(logits, virtual), labels);
    options.onProgress?.(i + 1, batches.perEpoch);
  }
  return metrics.result();
}

/** Scores of real tokens alone: labels have no positions for virtual ones. */
function withoutVirtual(logits: Field, virtual: number): Field {
  const [rows = 0, positions = 0, ...rest] = logits.shape;
  if (virtual === 0) return logits;
  const scores = castField("logits", logits, "float32").data;
  const width = rest.reduce((product, size) => product * size, 1);
  const kept = (positions - virtual) * width;
  const data = new Float32Array(rows * kept);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < kept; i++) {
      data[row * kept + i] = Number(scores[(row * positions + virtual) * width + i]);
    }
  }
  return { dtype: "float32", shape: [rows, positions - virtual, ...rest], data };
}
