/** The trainer: runs steps of an artifact, carries its state and knows nothing of the model but the manifest's roles. */
import type { GraphManifest } from "../artifact/manifest.ts";
import type { Batch, Field } from "../data/batch.ts";
import { InternalError } from "../diagnostics/define.ts";
import { runtimeErrors } from "../diagnostics/runtime.ts";
import { Artifact, type RunOptions } from "./artifact.ts";
import { type Checkpoint, latestCheckpoint } from "./checkpoint.ts";
import { scheduleFactor } from "./schedule.ts";
import type { Session } from "./session.ts";
import { stackFields } from "./stack.ts";
import { readState, type State, writeState } from "./state.ts";

export interface TrainerOptions extends RunOptions {
  /** Folder of a checkpoint to start from; the newest one, or the starting state, unless given. `false` for the latter. */
  readonly checkpoint?: string | false;
  /** Seed of dropout; that of the manifest unless given. */
  readonly seed?: number | undefined;
  /** Updates of the whole run, for schedules without a length of their own. */
  readonly totalSteps?: number;
}

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
  readonly logits: Field | undefined;
}

/** Runs training steps; make one with {@link Trainer.open}. */
export class Trainer {
  readonly artifact: Artifact;
  /** Names of labels that the checkpoint was trained with, in the order of their ids. */
  readonly labelNames: readonly string[] | undefined;
  readonly #options: TrainerOptions;
  readonly #state: State;
  readonly #seed: number;
  #updates: number;
  #sessions = new Map<string, Promise<Session>>();

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
    this.#seed = options.seed ?? artifact.manifest.seed;
    this.#updates = from?.step ?? 0;
  }

  /** Opens an artifact at its newest checkpoint, or at its start. @throws DiagnosticError from {@link Artifact.open}. */
  static async open(folder: string, options: TrainerOptions = {}): Promise<Trainer> {
    const artifact = Artifact.open(folder);
    const { checkpoint } = options;
    const from = checkpoint === false ? undefined : latestCheckpoint(artifact.folder, checkpoint);
    const file = from?.stateFile ?? artifact.path(artifact.manifest.state);
    return new Trainer(artifact, options, readState(file, artifact.graph("train")), from);
  }

  /** Number of updates done so far, skipped ones included. */
  get updates(): number {
    return this.#updates;
  }

  /** Batches that one call of {@link Trainer.step} takes. */
  get batchesPerStep(): number {
    const { optimizer, graphs } = this.artifact.manifest;
    return optimizer.accumulate * graphs.train.stepsPerRun;
  }

  /**
   * One run of the training graph; gives the result of its last update.
   *
   * @param batches one batch, or as many as {@link Trainer.batchesPerStep} says.
   */
  async step(batches: Batch | readonly Batch[]): Promise<StepResult> {
    const results = await this.run(isList(batches) ? batches : [batches]);
    const last = results.at(-1);
    if (last === undefined) throw new InternalError("a run made no update");
    return last;
  }

  /** The same with the results of all updates: more than one where a run has several steps. */
  async run(batches: readonly Batch[]): Promise<StepResult[]> {
    if (batches.length !== this.batchesPerStep) {
      throw runtimeErrors.E_BATCH_COUNT("Trainer.step", this.batchesPerStep, batches.length);
    }
    const { optimizer } = this.artifact.manifest;
    const results =
      optimizer.accumulate > 1 ? [await this.#accumulate(batches)] : await this.#runSteps(batches);
    this.#updates += results.length;
    return results;
  }

  /** Loss and logits of a batch, without training. */
  async evaluate(batch: Batch): Promise<Evaluation> {
    const graph = this.artifact.graph("eval");
    const outputs = await (await this.#session("eval")).run(this.#feeds(graph, batch, this.#updates));
    const logits = graph.outputs.find(({ role }) => role === "logits");
    return {
      loss: scalar(outputs, named(graph, "loss")),
      count: scalar(outputs, named(graph, "metric", "tokens")),
      logits: logits === undefined ? undefined : outputs[logits.name],
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

  /** Writes the state under the keys of the artifact's own file. */
  async saveState(file: string): Promise<void> {
    await writeState(file, this.artifact.graph("train"), this.#state);
  }

  async close(): Promise<void> {
    for (const name of [...this.#sessions.keys()]) await this.#close(name);
  }

  async #runSteps(batches: readonly Batch[]): Promise<StepResult[]> {
    const graph = this.artifact.graph("train");
    const count = graph.stepsPerRun;
    const perStep = batches.map((batch, i) => this.#feeds(graph, batch, this.#updates + i));
    const feeds = count === 1 ? (perStep[0] ?? {}) : this.#stacked(graph, perStep);
    const outputs = await (await this.#session("train")).run(feeds);
    this.#advance(graph, outputs);
    return Array.from({ length: count }, (_, i) => this.#result(graph, outputs, i));
  }

  /** Micro-batches through the gradient graph; the mean of their gradients, by batches or by tokens, is applied once. */
  async #accumulate(batches: readonly Batch[]): Promise<StepResult> {
    const grad = this.artifact.graph("grad");
    const session = await this.#session("grad");
    const byTokens = this.artifact.manifest.optimizer.accumulateBy === "tokens";
    let sum: Float64Array | undefined;
    let weight = 0;
    let loss = 0;
    for (const [index, batch] of batches.entries()) {
      const outputs = await session.run(this.#feeds(grad, batch, this.#updates * batches.length + index));
      const share = byTokens ? scalar(outputs, named(grad, "metric", "tokens")) : 1;
      const data = outputs[named(grad, "grad")]?.data;
      if (!(data instanceof Float32Array)) throw new InternalError("the gradient is not float32");
      sum ??= new Float64Array(data.length);
      for (let i = 0; i < data.length; i++) sum[i] = (sum[i] ?? 0) + share * (data[i] ?? 0);
      weight += share;
      loss += share * scalar(outputs, named(grad, "loss"));
    }
    if (sum === undefined) throw new InternalError("nothing was accumulated");
    const mean = Float32Array.from(sum, (value) => value / weight);
    const apply = this.artifact.graph("apply");
    const feeds = this.#feeds(apply, {}, this.#updates);
    const input = apply.inputs.find(({ role }) => role === "grad");
    if (input === undefined) throw new InternalError("the update takes no gradient");
    feeds[input.name] = { dtype: "float32", shape: [mean.length], data: mean };
    const outputs = await (await this.#session("apply")).run(feeds);
    this.#advance(apply, outputs);
    return { ...this.#result(apply, outputs, 0), loss: loss / weight };
  }

  #result(graph: GraphManifest, outputs: Readonly<Record<string, Field>>, index: number): StepResult {
    const at = (name: string | undefined): number =>
      name === undefined ? Number.NaN : scalar(outputs, name, index);
    return {
      step: this.#updates + index + 1,
      loss: at(graph.outputs.find(({ role }) => role === "loss")?.name),
      gradNorm: at(named(graph, "metric", "grad_norm")),
      skipped: at(named(graph, "metric", "skipped")) !== 0,
      lr: this.#rate(this.#updates + index),
    };
  }

  #feeds(graph: GraphManifest, batch: Batch, update: number): Record<string, Field> {
    const feeds: Record<string, Field> = {};
    for (const { name, role, field = name, hyper } of graph.inputs) {
      const carried = this.#state.get(name);
      if (role === "batch" || role === "label") {
        const given = batch[field];
        if (given === undefined) throw runtimeErrors.E_BATCH_FIELD(field, Object.keys(batch));
        feeds[name] = given;
      } else if (role === "hyper" && hyper === "lr") {
        feeds[name] = { dtype: "float32", shape: [], data: Float32Array.of(this.#rate(update)) };
      } else if (role === "rng") {
        feeds[name] = { dtype: "uint64", shape: [], data: BigUint64Array.of(this.#dropoutSeed(update)) };
      } else if (carried !== undefined) {
        feeds[name] = carried;
      }
    }
    return feeds;
  }

  /** Per-step feeds on a new first axis; carried inputs as they are. */
  #stacked(graph: GraphManifest, perStep: readonly Record<string, Field>[]): Record<string, Field> {
    return Object.fromEntries(
      graph.inputs.map(({ name }) => {
        const carried = this.#state.get(name);
        return [
          name,
          carried ??
            stackFields(
              name,
              perStep.map((feeds) => feeds[name]),
            ),
        ];
      }),
    );
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
    return peak * scheduleFactor(schedule, update, schedule.total ?? this.#options.totalSteps);
  }

  /** A different number for every update of every seed. */
  #dropoutSeed(update: number): bigint {
    return BigInt.asUintN(64, (BigInt(this.#seed) << 32n) + BigInt(update) + 1n);
  }

  #session(name: "train" | "eval" | "grad" | "apply"): Promise<Session> {
    const known = this.#sessions.get(name) ?? this.artifact.session(name, this.#options);
    this.#sessions.set(name, known);
    return known;
  }

  async #close(name: string): Promise<void> {
    const session = this.#sessions.get(name);
    this.#sessions.delete(name);
    await (await session)?.close();
  }
}

function isList(batches: Batch | readonly Batch[]): batches is readonly Batch[] {
  return Array.isArray(batches);
}

/** Name of the output with a role, and of a kind where the role has kinds. */
function named(graph: GraphManifest, role: string, metric?: string): string {
  const output = graph.outputs.find(
    (port) => port.role === role && (metric === undefined || port.metric === metric),
  );
  if (output === undefined) throw new InternalError(`graph ${graph.file} has no output ${metric ?? role}`);
  return output.name;
}

function scalar(outputs: Readonly<Record<string, Field>>, name: string, index = 0): number {
  return Number(outputs[name]?.data[index] ?? Number.NaN);
}
