/** The trainer: runs steps of an artifact, carries its state and knows nothing of the model but the manifest's roles. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import type { GraphManifest } from "../artifact/manifest.ts";
import type { Batch, Field } from "../data/batch.ts";
import { InternalError } from "../diagnostics/define.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import { Artifact, type GraphName, type RunOptions } from "./artifact.ts";
import { type Checkpoint, latestCheckpoint, metricsName, writeCheckpoint } from "./checkpoint.ts";
import { makeFeeds, stackFeeds, type UpdateInputs } from "./feeds.ts";
import { GradientSum } from "./gradient-sum.ts";
import { outputNamed, scalarOf } from "./graph-ports.ts";
import { lockArtifact } from "./lock.ts";
import { profileFile, type Trace } from "./profile.ts";
import { scheduleFactor } from "./schedule.ts";
import type { Session } from "./session.ts";
import { findNonFinite, lossScale, readState, type State, writeState } from "./state.ts";
import { batchesAndUpdates, type Evaluation, type StepResult } from "./step.ts";

export interface TrainerOptions extends RunOptions {
  /** Folder of a checkpoint to start from; the newest one, or the starting state, unless given. `false` for the latter. */
  readonly checkpoint?: string | false;
  /** Seed of dropout; that of the checkpoint, or of the manifest, unless given. */
  readonly seed?: number | undefined;
  /** Updates of the whole run, for schedules without a length of their own; that of the checkpoint unless given. */
  readonly totalSteps?: number;
}

/** Runs training steps; make one with {@link Trainer.open}. */
export class Trainer {
  readonly artifact: Artifact;
  /** Names of labels that the checkpoint was trained with, in the order of their ids. */
  readonly labelNames: readonly string[] | undefined;
  readonly #options: TrainerOptions;
  readonly #state: State;
  readonly #seed: number;
  readonly #totalSteps: number | undefined;
  #updates: number;
  #sessions = new Map<GraphName, Promise<Session>>();
  /** Settled when the run before has come to its end, well or not. */
  #before: Promise<unknown> = Promise.resolve();

  private constructor(
    artifact: Artifact,
    options: TrainerOptions,
    state: State,
    from: Checkpoint | undefined,
  ) {
    this.artifact = artifact;
    this.labelNames = from?.labelNames ?? undefined;
    this.#options = options;
    this.#state = state;
    this.#seed = options.seed ?? from?.seed ?? artifact.manifest.seed;
    this.#totalSteps = options.totalSteps ?? from?.totalSteps;
    this.#updates = from?.step ?? 0;
  }

  /**
   * Opens an artifact at its newest checkpoint, or at its start.
   *
   * @param from its folder, or the artifact itself where it is open already.
   * @throws DiagnosticError from {@link Artifact.open}, `E_CHECKPOINT`, `E_STATE`.
   */
  static async open(from: string | Artifact, options: TrainerOptions = {}): Promise<Trainer> {
    const artifact = typeof from === "string" ? Artifact.open(from) : from;
    const { checkpoint } = options;
    const saved = checkpoint === false ? undefined : latestCheckpoint(artifact.folder, checkpoint);
    const file = saved?.stateFile ?? artifact.path(artifact.manifest.state);
    return new Trainer(artifact, options, readState(file, artifact.graph("train")), saved);
  }

  /** Number of updates done so far, skipped ones included. */
  get updates(): number {
    return this.#updates;
  }

  /** Batches that one call of {@link Trainer.step} takes. */
  get batchesPerStep(): number {
    return batchesAndUpdates(this.artifact.manifest).batches;
  }

  /** What the loss is multiplied with before its gradient is taken; undefined where it is not scaled. */
  get lossScale(): number | undefined {
    return lossScale(this.artifact.graph("train"), this.#state);
  }

  /**
   * One run of the training graph; gives the result of its last update. Calls that do not wait for each other are done
   * one after the other.
   *
   * @param batches one batch, or as many as {@link Trainer.batchesPerStep} says. They must not be changed meanwhile.
   * @throws DiagnosticError `E_BATCH_COUNT`, `E_BATCH_FIELD`, `E_BATCH_SHAPES`, `E_FIELD_DTYPE`, `E_RUN`.
   */
  async step(batches: Batch | readonly Batch[]): Promise<StepResult> {
    const results = await this.run(isList(batches) ? batches : [batches]);
    const last = results.at(-1);
    if (last === undefined) throw new InternalError("a run made no update");
    return last;
  }

  /** The same with the results of all updates: more than one where a run has several steps. */
  run(batches: readonly Batch[]): Promise<StepResult[]> {
    const results = this.#before.then(() => this.#runNow(batches));
    this.#before = results.catch(() => undefined);
    return results;
  }

  /**
   * Loss and logits of a batch, without training.
   *
   * @param wanted `logits: false` leaves them in the runtime, which saves copying them.
   */
  async evaluate(batch: Batch, wanted: { readonly logits?: boolean } = {}): Promise<Evaluation> {
    const graph = this.artifact.graph("eval");
    const [loss, count] = [outputNamed(graph, "loss"), outputNamed(graph, "metric", "tokens")];
    const logits =
      wanted.logits === false ? undefined : graph.outputs.find(({ role }) => role === "logits")?.name;
    const feeds = makeFeeds(graph, this.#state, this.#inputs(batch, this.#updates));
    const session = await this.#session("eval");
    const outputs = await session.run(feeds, [loss, count, ...(logits === undefined ? [] : [logits])]);
    return {
      loss: scalarOf(outputs, loss),
      count: scalarOf(outputs, count),
      logits: logits === undefined ? undefined : outputs[logits],
    };
  }

  /** Frees the evaluation graph and its weights, so that training does not hold them twice. */
  async endEvaluation(): Promise<void> {
    await this.#close("eval");
  }

  /** Values of all carried inputs, by input name; not to be changed. */
  get state(): ReadonlyMap<string, Field> {
    return this.#state;
  }

  /** Key of a trained value that is not finite any more; undefined where all are. */
  findNonFinite(): string | undefined {
    return findNonFinite(this.artifact.graph("train"), this.#state);
  }

  /** Writes the state under the keys of the artifact's own file. */
  async saveState(file: string): Promise<void> {
    await writeState(file, this.artifact.graph("train"), this.#state);
  }

  /**
   * Writes a checkpoint, which `evaluate`, `merge` and `export` then take, and which another trainer starts from.
   *
   * @param folder the artifact's own unless given.
   * @returns the checkpoint's folder, `checkpoints/step-N`.
   * @throws DiagnosticError `E_LOCKED` while `train` runs there.
   */
  async save(folder: string = this.artifact.folder): Promise<string> {
    await this.#before;
    const release = lockArtifact(folder);
    try {
      const metrics = join(folder, metricsName);
      const record = {
        step: this.#updates,
        seed: this.#seed,
        totalSteps: this.#totalSteps ?? this.#updates,
        cursor: null,
        labelNames: this.labelNames === undefined ? null : [...this.labelNames],
        metricsBytes: existsSync(metrics) ? statSync(metrics).size : 0,
      };
      return await writeCheckpoint(folder, record, (file) => this.saveState(file));
    } finally {
      release();
    }
  }

  /**
   * Ends the profiles of the graphs that steps have run so far, where {@link TrainerOptions.profile} asked for them, and
   * gives what was written.
   */
  async endProfile(): Promise<Trace[]> {
    const { profile } = this.#options;
    await this.#before;
    if (profile === undefined) return [];
    const traces: Trace[] = [];
    for (const [graph, session] of this.#sessions) {
      if (graph === "eval") continue;
      (await session).endProfile();
      const file = profileFile(`${profile}-${graph}`);
      if (file !== undefined) traces.push({ graph, file });
    }
    return traces;
  }

  /** Waits for what is running, and frees all graphs. */
  async close(): Promise<void> {
    await this.#before;
    for (const name of [...this.#sessions.keys()]) await this.#close(name);
  }

  async #runNow(batches: readonly Batch[]): Promise<StepResult[]> {
    if (batches.length !== this.batchesPerStep) {
      throw runtimeErrors.E_BATCH_COUNT("Trainer.step", this.batchesPerStep, batches.length);
    }
    const { accumulate } = this.artifact.manifest.optimizer;
    const results = accumulate > 1 ? [await this.#accumulate(batches)] : await this.#runSteps(batches);
    this.#updates += results.length;
    return results;
  }

  async #runSteps(batches: readonly Batch[]): Promise<StepResult[]> {
    const graph = this.artifact.graph("train");
    const inputs = batches.map((batch, i) => this.#inputs(batch, this.#updates + i));
    const [first] = inputs;
    const feeds =
      graph.stepsPerRun === 1 && first !== undefined
        ? makeFeeds(graph, this.#state, first)
        : stackFeeds(graph, this.#state, inputs);
    const outputs = await (await this.#session("train")).run(feeds);
    this.#advance(graph, outputs);
    return batches.map((_, i) => this.#result(graph, outputs, i));
  }

  /** Micro-batches through the gradient graph; the mean of their gradients is applied once. */
  async #accumulate(batches: readonly Batch[]): Promise<StepResult> {
    const grad = this.artifact.graph("grad");
    const session = await this.#session("grad");
    const sum = new GradientSum(this.artifact.manifest.optimizer.accumulateBy);
    for (const [index, batch] of batches.entries()) {
      const inputs = this.#inputs(batch, this.#updates, this.#updates * batches.length + index);
      sum.add(grad, await session.run(makeFeeds(grad, this.#state, inputs)));
    }
    const apply = this.artifact.graph("apply");
    const feeds = makeFeeds(apply, this.#state, this.#inputs({}, this.#updates));
    const input = apply.inputs.find(({ role }) => role === "grad");
    if (input === undefined) throw new InternalError("the update takes no gradient");
    feeds[input.name] = sum.mean();
    const outputs = await (await this.#session("apply")).run(feeds);
    this.#advance(apply, outputs);
    return { ...this.#result(apply, outputs, 0), loss: sum.loss };
  }

  #result(graph: GraphManifest, outputs: Readonly<Record<string, Field>>, index: number): StepResult {
    const at = (name: string | undefined): number =>
      name === undefined ? Number.NaN : scalarOf(outputs, name, index);
    return {
      step: this.#updates + index + 1,
      loss: at(graph.outputs.find(({ role }) => role === "loss")?.name),
      gradNorm: at(outputNamed(graph, "metric", "grad_norm")),
      skipped: at(outputNamed(graph, "metric", "skipped")) !== 0,
      lr: this.#rate(this.#updates + index),
    };
  }

  /** @param draw number of the batch that dropout is drawn for; that of the update unless given. */
  #inputs(batch: Batch, update: number, draw = update): UpdateInputs {
    return { batch, rate: this.#rate(update), seed: this.#dropoutSeed(draw) };
  }

  #advance(graph: GraphManifest, outputs: Readonly<Record<string, Field>>): void {
    for (const { name, role, feeds } of graph.outputs) {
      const value = outputs[name];
      if (role === "next" && feeds !== undefined && value !== undefined) this.#state.set(feeds, value);
    }
  }

  #rate(update: number): number {
    const { options, schedule } = this.artifact.manifest.optimizer;
    const peak = Number(options.lr ?? 0);
    return peak * scheduleFactor(schedule, update, schedule.total ?? this.#totalSteps);
  }

  /** A different number for every batch of every seed. */
  #dropoutSeed(draw: number): bigint {
    return BigInt.asUintN(64, (BigInt(this.#seed) << 32n) + BigInt(draw) + 1n);
  }

  #session(name: GraphName): Promise<Session> {
    const known = this.#sessions.get(name) ?? this.artifact.session(name, this.#options);
    this.#sessions.set(name, known);
    return known;
  }

  async #close(name: GraphName): Promise<void> {
    const session = this.#sessions.get(name);
    this.#sessions.delete(name);
    await (await session)?.close();
  }
}

function isList(batches: Batch | readonly Batch[]): batches is readonly Batch[] {
  return Array.isArray(batches);
}
