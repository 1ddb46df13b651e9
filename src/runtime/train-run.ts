/** The loop behind `train`: batches, progress, evaluation, checkpoints, and a stop that loses nothing. */
import { join } from "node:path";
import type { Batch, Dataset } from "../data/batch.ts";
import { Batches } from "../data/batches.ts";
import { fingerprint } from "../data/fingerprint.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import { Artifact } from "./artifact.ts";
import {
  latestCheckpoint,
  metricsName,
  pruneCheckpoints,
  removeUnfinished,
  setAsideTraining,
  type TrainingRecord,
  updateRecord,
  writeCheckpoint,
} from "./checkpoint.ts";
import { evaluateData } from "./evaluate-run.ts";
import { lockArtifact } from "./lock.ts";
import { MetricsLog } from "./metrics-log.ts";
import { checkResume } from "./resume.ts";
import type { ProfileRequest, RunResult, TrainRunOptions } from "./run-options.ts";
import { batchesAndUpdates, type StepResult } from "./step.ts";
import { Trainer } from "./trainer.ts";

/**
 * Trains until the last step, or until asked to stop; a run always saves at its end. Without `resume` a run begins anew, and
 * training that the folder held is moved into a folder inside it.
 *
 * @throws DiagnosticError `E_LOCKED`, `E_LOSS_NOT_FINITE` and `E_STATE_NOT_FINITE` (the last checkpoint is kept), `E_RESUME`.
 */
export async function trainArtifact(options: TrainRunOptions): Promise<RunResult> {
  const { artifact } = options;
  const opened = typeof artifact === "string" ? Artifact.open(artifact) : artifact;
  const out = options.out ?? opened.folder;
  const release = lockArtifact(out);
  try {
    removeUnfinished(out);
    const run = new TrainRun(opened, out, options);
    return await run.run();
  } finally {
    release();
  }
}

/** Below this a loss scale has found nothing: not even the unscaled gradient is finite. */
const smallestScale = 1;

class TrainRun {
  readonly #artifact: Artifact;
  readonly #out: string;
  readonly #options: TrainRunOptions;
  readonly #seed: number;
  readonly #batches: Batches;
  readonly #updatesPerRun: number;
  readonly #totalSteps: number;
  #saved: { readonly step: number; readonly folder: string } | undefined;
  /** Step of the last evaluation that the metrics hold. */
  #evaluatedAt: number | undefined;
  #best: TrainingRecord["best"] = null;
  #skipped = 0;
  /** What is still to be profiled. */
  #profile: ProfileRequest | undefined;

  constructor(artifact: Artifact, out: string, options: TrainRunOptions) {
    const { dataset, batch, wanted, seed = artifact.manifest.seed, steps, epochs = 1 } = options;
    this.#artifact = artifact;
    this.#out = out;
    this.#options = options;
    this.#profile = options.profile;
    this.#seed = seed;
    const dropLast = dataset.rows >= batch;
    const order = options.groupByLength === false ? "shuffled" : "by-length";
    const perRun = batchesAndUpdates(artifact.manifest);
    // One run of several steps takes batches of one shape; those of accumulated gradients may differ.
    const together = artifact.manifest.optimizer.accumulate > 1 ? 1 : perRun.batches;
    this.#batches = new Batches(dataset, { batch, order, seed, dropLast, wanted, together });
    this.#updatesPerRun = perRun.updates;
    const asked =
      steps ?? Math.max(1, Math.floor((this.#batches.perEpoch * epochs * perRun.updates) / perRun.batches));
    this.#totalSteps = Math.ceil(asked / perRun.updates) * perRun.updates;
  }

  async run(): Promise<RunResult> {
    const { resume = false, threads, provider, onStart, dataset, wanted, batch } = this.#options;
    const from = resume ? latestCheckpoint(this.#out) : undefined;
    const data = fingerprint(dataset, wanted);
    if (from !== undefined) {
      const now = { seed: this.#seed, totalSteps: this.#totalSteps, batch, data };
      checkResume(from, now, this.#artifact.manifest.optimizer.schedule);
      if (from.cursor !== null) this.#batches.seek(from.cursor);
      this.#saved = from;
      this.#best = from.best;
      if (from.evaluated) this.#evaluatedAt = from.step;
    }
    const trainer = await Trainer.open(this.#artifact, {
      ...{ threads, provider, seed: this.#seed, totalSteps: this.#totalSteps },
      checkpoint: from?.folder ?? false,
      profile: this.#profile?.prefix,
    });
    try {
      const setAside = from === undefined ? setAsideTraining(this.#out) : undefined;
      const log = new MetricsLog(join(this.#out, metricsName), from?.metricsBytes ?? 0);
      const { batches, updates } = batchesAndUpdates(this.#artifact.manifest);
      onStart?.({
        totalSteps: this.#totalSteps,
        from: trainer.updates,
        stepsPerEpoch: Math.max(1, Math.floor((this.#batches.perEpoch * updates) / batches)),
        setAside,
      });
      return await this.#loop(trainer, log, data);
    } finally {
      await trainer.close();
    }
  }

  async #loop(trainer: Trainer, log: MetricsLog, data: string): Promise<RunResult> {
    const { evalEvery, saveEvery, evaluation, shouldStop = () => false } = this.#options;
    let lastLoss = Number.NaN;
    let metrics: Readonly<Record<string, number>> | undefined;
    const evaluate = async (): Promise<void> => {
      // After a resumption, the one of this step may be done or may have been broken off.
      if (evaluation !== undefined && this.#evaluatedAt !== trainer.updates)
        metrics = await this.#evaluate(trainer, log, evaluation);
    };
    const first = trainer.updates;
    for (;;) {
      if (trainer.updates >= this.#totalSteps) break;
      if (this.#isDue(evalEvery, trainer.updates)) await evaluate();
      if (this.#isDue(saveEvery, trainer.updates)) await this.#save(trainer, log, data);
      if (shouldStop()) break;
      lastLoss = (await this.#update(trainer, log)) ?? lastLoss;
      if (trainer.updates - first >= (this.#profile?.updates ?? Number.POSITIVE_INFINITY))
        await this.#endProfile(trainer);
    }
    await this.#endProfile(trainer);
    // Saved first: an evaluation may take long, and be broken off.
    const checkpoint = await this.#save(trainer, log, data);
    const stopped = trainer.updates < this.#totalSteps;
    if (!stopped) {
      await evaluate();
      await updateRecord(checkpoint, this.#record(trainer, log, data));
    }
    const { keep } = this.#options;
    if (keep !== undefined) pruneCheckpoints(this.#out, keep, trainer.updates);
    return {
      ...{ steps: trainer.updates, totalSteps: this.#totalSteps, stopped, skippedSteps: this.#skipped },
      ...{ lastLoss, checkpoint, metrics, best: this.#best },
    };
  }

  /** One run of the graph; gives the loss of its last update. */
  async #update(trainer: Trainer, log: MetricsLog): Promise<number | undefined> {
    const { epoch } = this.#batches;
    const start = performance.now();
    const batches: Batch[] = [];
    while (batches.length < trainer.batchesPerStep) batches.push(...this.#batches.nextAlike());
    const results = await trainer.run(batches);
    const ms = (performance.now() - start) / results.length;
    for (const result of results) {
      this.#checkLoss(trainer, result);
      if (result.skipped) this.#skipped++;
      const { step, loss, gradNorm, lr, skipped } = result;
      await log.append({ step, loss, grad_norm: gradNorm, lr, skipped });
      this.#options.onStep?.(result, { totalSteps: this.#totalSteps, ms, epoch });
    }
    return results.at(-1)?.loss;
  }

  async #endProfile(trainer: Trainer): Promise<void> {
    const profile = this.#profile;
    if (profile === undefined) return;
    this.#profile = undefined;
    profile.onDone(await trainer.endProfile());
  }

  /** A scaled loss may overflow while a scale is looked for; one that is not scaled is lost. */
  #checkLoss({ lossScale }: Trainer, { step, loss }: StepResult): void {
    if (Number.isFinite(loss) || (lossScale !== undefined && lossScale >= smallestScale)) return;
    throw runtimeErrors.E_LOSS_NOT_FINITE(step, loss, this.#saved?.folder);
  }

  /** Whether something that is done every so many updates falls on these, or between the updates of the last run. */
  #isDue(every: number | undefined, updates: number): boolean {
    if (every === undefined || updates === 0) return false;
    return Math.floor(updates / every) > Math.floor((updates - this.#updatesPerRun) / every);
  }

  /** Metrics of the current state; undefined where they were broken off. */
  async #evaluate(
    trainer: Trainer,
    log: MetricsLog,
    dataset: Dataset,
  ): Promise<Readonly<Record<string, number>> | undefined> {
    const { wanted, batch, onEvaluation, onEvaluationBatch, evalRows, shouldStop } = this.#options;
    const metrics = await evaluateData(trainer, dataset, {
      ...{ batch, wanted, rows: evalRows },
      ...(onEvaluationBatch === undefined ? {} : { onProgress: onEvaluationBatch }),
      ...(shouldStop === undefined ? {} : { shouldStop }),
    });
    // Evaluation weights are not held beside those of training for longer than they are used.
    await trainer.endEvaluation();
    if (metrics === undefined) return undefined;
    const step = trainer.updates;
    const { loss } = metrics;
    if (loss !== undefined && loss < (this.#best?.loss ?? Number.POSITIVE_INFINITY))
      this.#best = { step, loss };
    const named = Object.entries(metrics).map(([name, value]) => [`eval_${name}`, value]);
    await log.append({ step, ...Object.fromEntries(named) });
    this.#evaluatedAt = step;
    onEvaluation?.(step, metrics);
    return metrics;
  }

  async #save(trainer: Trainer, log: MetricsLog, data: string): Promise<string> {
    const { updates } = trainer;
    if (this.#saved?.step === updates) return this.#saved.folder;
    const broken = trainer.findNonFinite();
    if (broken !== undefined) throw runtimeErrors.E_STATE_NOT_FINITE(updates, broken, this.#saved?.folder);
    log.flush();
    const record = this.#record(trainer, log, data);
    const folder = await writeCheckpoint(this.#out, record, (file) => trainer.saveState(file));
    this.#saved = { step: updates, folder };
    if (this.#options.keep !== undefined) pruneCheckpoints(this.#out, this.#options.keep, updates);
    return folder;
  }

  #record({ updates }: Trainer, log: MetricsLog, data: string): TrainingRecord {
    const { labelNames, batch } = this.#options;
    return {
      ...{ step: updates, seed: this.#seed, totalSteps: this.#totalSteps, batch, data },
      cursor: this.#batches.state(),
      labelNames: labelNames === undefined ? null : [...labelNames],
      metricsBytes: log.position,
      evaluated: this.#evaluatedAt === updates,
      best: this.#best,
    };
  }
}
