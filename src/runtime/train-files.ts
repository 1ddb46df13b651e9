/** `train` and `evaluate` as functions: an artifact and files in, metrics and checkpoints out. */
import { InternalError } from "../diagnostics/define.ts";
import { Artifact } from "./artifact.ts";
import { evaluateData } from "./evaluate-run.ts";
import { wantedFields } from "./graph-ports.ts";
import { lockArtifact } from "./lock.ts";
import { type DataOptions, openData } from "./open-data.ts";
import type { RunResult, TrainRunOptions } from "./run-options.ts";
import { trainArtifact } from "./train-run.ts";
import { Trainer, type TrainerOptions } from "./trainer.ts";

/** Options of a training run over files. */
export interface TrainFilesOptions
  extends DataOptions,
    Omit<Partial<TrainRunOptions>, "artifact" | "dataset" | "evaluation" | "wanted" | "labelNames" | "seed"> {
  /** Files to evaluate on, read like those to train on. */
  readonly evalData?: readonly string[] | undefined;
}

/** How a run ended, and how many of its inputs were longer than the limit. */
export interface TrainFilesResult extends RunResult {
  readonly cutInputs: number;
}

/** Batches of this many examples unless asked otherwise. */
const usualBatch = 8;

/**
 * Trains an artifact on text, tables, arrays or random data.
 *
 * @example
 * await train("model.peft", { data: ["train.tsv"], evalData: ["dev.tsv"], batch: 16, epochs: 1 });
 * @throws DiagnosticError for artifacts and data that cannot be read, and from {@link trainArtifact}.
 */
export async function train(folder: string, options: TrainFilesOptions): Promise<TrainFilesResult> {
  const artifact = Artifact.open(folder);
  // Taken early, so that a second trainer hears of it before data is read.
  lockArtifact(options.out ?? artifact.folder)();
  const { evalData, batch = usualBatch } = options;
  const data = openData(artifact, options);
  const evaluation =
    evalData === undefined
      ? undefined
      : openData(artifact, { ...options, data: evalData, labelNames: data.labelNames });
  const result = await trainArtifact({
    ...options,
    artifact,
    labelNames: data.labelNames,
    dataset: data.dataset,
    evaluation: evaluation?.dataset,
    wanted: wantedFields(artifact.manifest),
    batch,
    evalRows: isRandom(evalData) ? batch * 4 : undefined,
  });
  return { ...result, cutInputs: data.cutRows() };
}

/** Options of an evaluation over files. */
export interface EvaluateFilesOptions
  extends DataOptions,
    Pick<TrainerOptions, "threads" | "provider" | "checkpoint"> {
  readonly batch?: number;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface EvaluateFilesResult {
  readonly task: string;
  /** Updates that the state had seen. */
  readonly step: number;
  readonly metrics: Readonly<Record<string, number>>;
}

/** Metrics of the artifact's task on a data set, with the newest checkpoint unless another is named. */
export async function evaluate(folder: string, options: EvaluateFilesOptions): Promise<EvaluateFilesResult> {
  const { batch = 2 * usualBatch, onProgress } = options;
  const trainer = await Trainer.open(folder, options);
  try {
    const { artifact, labelNames, updates } = trainer;
    const { dataset } = openData(artifact, { ...options, labelNames });
    const metrics = await evaluateData(trainer, dataset, {
      batch,
      wanted: wantedFields(artifact.manifest),
      ...(onProgress === undefined ? {} : { onProgress }),
      ...(isRandom(options.data) ? { rows: batch * 4 } : {}),
    });
    if (metrics === undefined) throw new InternalError("an evaluation was broken off that nobody stopped");
    return { task: artifact.manifest.task.name, step: updates, metrics };
  } finally {
    await trainer.close();
  }
}

function isRandom(files: readonly string[] | undefined): boolean {
  return files?.[0] === "random";
}
