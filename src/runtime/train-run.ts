/** The loop behind `train`: batches, progress, evaluation, checkpoints, and a stop that loses nothing. */
import { existsSync, mkdirSync, statSync, truncateSync } from "node:fs";
import { appendFile } from "node:fs/promises";
import type { Dataset, FieldRequest } from "../data/batch.ts";
import { Batches } from "../data/batches.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import { Artifact } from "./artifact.ts";
import {
  type Checkpoint,
  latestCheckpoint,
  pruneCheckpoints,
  removeUnfinished,
  writeCheckpoint,
} from "./checkpoint.ts";
import { evaluateData } from "./evaluate-run.ts";
import { lockArtifact } from "./lock.ts";
import { type StepResult, Trainer, type TrainerOptions } from "./trainer.ts";

export interface TrainRunOptions extends Pick<TrainerOptions, "threads" | "provider" | "seed"> {
  readonly artifact: string;
  /** Folder for checkpoints and metrics; the artifact's own unless given. */
  readonly out?: string | undefined;
  readonly dataset: Dataset;
  readonly evaluation?: Dataset | undefined;
  readonly wanted: readonly FieldRequest[];
  /** Kept with every checkpoint, so that an evaluation reads labels as the training did. */
  readonly labelNames?: readonly string[] | undefined;
  readonly batch: number;
  /** Updates of the run; or epochs, where it is left out. */
  readonly steps?: number | undefined;
  readonly epochs?: number | undefined;
  readonly evalEvery?: number | undefined;
  readonly saveEvery?: number | undefined;
  /** Checkpoints that are kept; all where it is left out. */
  readonly keep?: number | undefined;
  readonly resume?: boolean | undefined;
  /** Rows of one evaluation, for data without an end. */
  readonly evalRows?: number | undefined;
  readonly onStart?: (facts: RunStart) => void;
  readonly onStep?: (result: StepResult, facts: StepFacts) => void;
  readonly onEvaluation?: (step: number, metrics: Readonly<Record<string, number>>) => void;
  /** Asked after every run; true finishes, saves and ends. */
  readonly shouldStop?: () => boolean;
}

export interface RunStart {
  readonly totalSteps: number;
  /** Updates that were done before. */
  readonly from: number;
  readonly stepsPerEpoch: number;
}

export interface StepFacts {
  readonly totalSteps: number;
  readonly ms: number;
  readonly epoch: number;
}

/** How a run ended. */
export interface RunResult {
  readonly steps: number;
  readonly totalSteps: number;
  readonly stopped: boolean;
  readonly lastLoss: number;
  readonly checkpoint: string;
  readonly metrics: Readonly<Record<string, number>> | undefined;
}

/**
 * Trains until the last step, or until asked to stop; a run always saves at its end.
 *
 * @throws DiagnosticError `E_LOCKED`, `E_LOSS_NOT_FINITE` (the last checkpoint is kept), `E_RESUME`.
 */
export async function trainArtifact(options: TrainRunOptions): Promise<RunResult> {
  const out = options.out ?? options.artifact;
  mkdirSync(out, { recursive: true });
  const release = lockArtifact(out);
  try {
    removeUnfinished(out);
    return await new TrainRun(options).run();
  } finally {
    release();
  }
}

class TrainRun {
  readonly #options: TrainRunOptions;
  readonly #out: string;
  readonly #metricsFile: string;
  #metricsBytes = 0;
  #saved: string | undefined;

  constructor(options: TrainRunOptions) {
    this.#options = options;
    this.#out = options.out ?? options.artifact;
    this.#metricsFile = `${this.#out}/metrics.jsonl`;
  }

  async run(): Promise<RunResult> {
    const { artifact, resume = false, threads, provider, seed, onStart } = this.#options;
    const from = resume ? latestCheckpoint(this.#out) : undefined;
    const batches = this.#batches();
    const perStep = Artifact.open(artifact).manifest.optimizer.accumulate;
    const totalSteps = this.#totalSteps(batches, perStep);
    this.#checkResume(from, batches, totalSteps);
    if (from?.cursor != null) batches.seek(from.cursor);
    this.#startMetrics(from);
    const trainer = await Trainer.open(artifact, {
      threads,
      provider,
      ...(seed === undefined ? {} : { seed }),
      totalSteps,
      checkpoint: from?.folder ?? false,
    });
    try {
      onStart?.({
        totalSteps,
        from: trainer.updates,
        stepsPerEpoch: Math.max(1, Math.floor(batches.perEpoch / perStep)),
      });
      return await this.#loop(trainer, batches, totalSteps);
    } finally {
      await trainer.close();
    }
  }

  async #loop(trainer: Trainer, batches: Batches, totalSteps: number): Promise<RunResult> {
    const { onStep, shouldStop = () => false } = this.#options;
    let lastLoss = Number.NaN;
    let metrics: Readonly<Record<string, number>> | undefined;
    let evaluatedAt = -1;
    while (trainer.updates < totalSteps && !shouldStop()) {
      const epoch = batches.epoch;
      const start = performance.now();
      const results = await trainer.run(Array.from({ length: trainer.batchesPerStep }, () => batches.next()));
      const ms = (performance.now() - start) / results.length;
      for (const result of results) {
        if (!Number.isFinite(result.loss) && !result.skipped) {
          throw runtimeErrors.E_LOSS_NOT_FINITE(result.step, result.loss, this.#saved ?? "the start");
        }
        lastLoss = result.loss;
        await this.#log({
          step: result.step,
          loss: result.loss,
          grad_norm: result.gradNorm,
          lr: result.lr,
          skipped: result.skipped,
        });
        onStep?.(result, { totalSteps, ms, epoch });
      }
      if (this.#isDue(this.#options.evalEvery, trainer.updates, results.length)) {
        metrics = await this.#evaluate(trainer);
        evaluatedAt = trainer.updates;
      }
      if (this.#isDue(this.#options.saveEvery, trainer.updates, results.length))
        await this.#save(trainer, batches, totalSteps);
    }
    const stopped = trainer.updates < totalSteps;
    if (!stopped && evaluatedAt !== trainer.updates) metrics = await this.#evaluate(trainer);
    const checkpoint = await this.#save(trainer, batches, totalSteps);
    return { steps: trainer.updates, totalSteps, stopped, lastLoss, checkpoint, metrics };
  }

  #batches(): Batches {
    const { dataset, batch, wanted, seed = 0 } = this.#options;
    return new Batches(dataset, {
      batch,
      order: "shuffled",
      seed,
      dropLast: dataset.rows >= batch,
      wanted,
    });
  }

  #totalSteps(batches: Batches, perStep: number): number {
    const { steps, epochs = 1 } = this.#options;
    return steps ?? Math.max(1, Math.floor((batches.perEpoch * epochs) / perStep));
  }

  /** A run goes on exactly only with the same data, seed and length. */
  #checkResume(from: Checkpoint | undefined, batches: Batches, totalSteps: number): void {
    if (from === undefined) return;
    const { seed = 0 } = this.#options;
    const now = batches.state();
    if (from.seed !== seed) throw runtimeErrors.E_RESUME("the seed", String(from.seed), String(seed));
    if (from.totalSteps !== totalSteps)
      throw runtimeErrors.E_RESUME("the number of steps", String(from.totalSteps), String(totalSteps));
    if (from.cursor !== null && from.cursor.rows !== now.rows) {
      throw runtimeErrors.E_RESUME("the data", `${from.cursor.rows} rows`, `${now.rows} rows`);
    }
  }

  /** Metrics go on where the checkpoint left them, as if the run had never been broken off. */
  #startMetrics(from: Checkpoint | undefined): void {
    this.#metricsBytes = from?.metricsBytes ?? 0;
    if (existsSync(this.#metricsFile))
      truncateSync(this.#metricsFile, Math.min(this.#metricsBytes, statSync(this.#metricsFile).size));
  }

  async #log(record: Readonly<Record<string, number | boolean>>): Promise<void> {
    const line = `${JSON.stringify(record)}\n`;
    await appendFile(this.#metricsFile, line);
    this.#metricsBytes += Buffer.byteLength(line);
  }

  #isDue(every: number | undefined, updates: number, done: number): boolean {
    return every !== undefined && Math.floor(updates / every) > Math.floor((updates - done) / every);
  }

  async #evaluate(trainer: Trainer): Promise<Readonly<Record<string, number>> | undefined> {
    const { evaluation, wanted, batch, onEvaluation, evalRows } = this.#options;
    if (evaluation === undefined) return undefined;
    const metrics = await evaluateData(trainer, evaluation, {
      batch,
      wanted,
      ...(evalRows === undefined ? {} : { rows: evalRows }),
    });
    // Evaluation weights are not held beside those of training for longer than they are used.
    await trainer.endEvaluation();
    await this.#log({
      step: trainer.updates,
      ...Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`eval_${name}`, value])),
    });
    onEvaluation?.(trainer.updates, metrics);
    return metrics;
  }

  async #save(trainer: Trainer, batches: Batches, totalSteps: number): Promise<string> {
    const { seed = 0, keep, labelNames } = this.#options;
    const record = {
      step: trainer.updates,
      seed,
      totalSteps,
      cursor: batches.state(),
      labelNames: labelNames === undefined ? null : [...labelNames],
      metricsBytes: this.#metricsBytes,
    };
    this.#saved = await writeCheckpoint(this.#out, record, (file) => trainer.saveState(file));
    if (keep !== undefined) pruneCheckpoints(this.#out, keep);
    return this.#saved;
  }
}
