/** Checks one oracle case: logits, loss, gradients, the training trajectory and merged weights, within the set's tolerances. */
import { join } from "node:path";
import { expect } from "vitest";
import { adapters } from "../../passes/adapters/index.ts";
import { checkpointTensors } from "../../src/compile/checkpoint-tensors.ts";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { readPeftFolder, readTensors } from "../../src/compile/peft-folder.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import { runConstantGraph } from "../../src/compile/run-constant.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromNumbers, fromTensor, NDArray } from "../../src/ops/ndarray.ts";
import { adjustedOptions, comparableSteps } from "./built.ts";
import { checkMerged } from "./check-merged.ts";
import { expectClose, tolerances } from "./close.ts";
import {
  advance,
  type Batch,
  GraphSession,
  resultOf,
  type State,
  splitFlat,
  startingState,
} from "./graph-session.ts";
import {
  type OracleCase,
  oracleRoot,
  readAliases,
  readArrays,
  readTrainRecord,
  readUntouched,
  type TrainRecord,
} from "./oracle-set.ts";

/** Runs every check that the case has data for. */
export async function checkCase(item: OracleCase): Promise<void> {
  const peft = readPeftFolder(item.adapterFolder, adapters);
  const record = readTrainRecord(item.resultsFolder);
  const model = readModel(item.modelFile);
  const request: CompileRequest = {
    method: {
      name: peft.method,
      options: {
        ...peft.options,
        ...scheduleOptions(peft.options, record),
        ...adjustedOptions(item.model, item.name),
      },
    },
    modulesToSave: savedModules(peft.options),
    task: taskOf(item.model),
    ...trainingOf(record),
  };
  const aliases = readAliases(item.folder);
  const compiled = compileGraphs(model, request, {
    adapter: {
      file: peft.file,
      tensors: new Map([
        ...withAliases(peft.tensors, aliases),
        ...outsideCheckpoint(item),
        ...unportable(item),
        ...takenFrom(item, peft.options),
      ]),
    },
    // In evaluation mode PEFT has no dropout and no noise.
    still: record?.mode === "eval",
  });
  const io = readArrays(join(oracleRoot, "models", item.model, "io.safetensors"));
  const expected = new Map([
    ...readArrays(join(item.folder, "expected.safetensors")),
    ...readArrays(join(item.resultsFolder, "expected.safetensors")),
  ]);
  // Reduced precision is compared by trajectory alone; the set's expected tensors are those of float32.
  const full = request.precision === undefined;
  if (full) await checkForward(compiled, batchOf(io, "batch0"), expected);
  if (full && [...expected.keys()].some((key) => key.startsWith("grad."))) {
    await checkGradients(compiled, batchOf(io, "batch0"), expected, aliases);
  }
  if (record !== undefined) await checkTraining(compiled, io, record, item);
  if (full) await checkMerged(model, compiled, expected);
  await checkCheckpoint(compiled, peft.tensors);
}

/** PEFT leaves it to the training loop to call AdaLoRA's allocator; only records of loops that did have a rank pattern. */
function scheduleOptions(
  options: Readonly<Record<string, unknown>>,
  record: TrainRecord | undefined,
): Readonly<Record<string, unknown>> {
  return "total_step" in options && record?.rank_pattern === undefined ? { total_step: null } : {};
}

function savedModules(options: Readonly<Record<string, unknown>>): string[] {
  const saved = options.modules_to_save;
  return Array.isArray(saved) ? saved.map(String) : [];
}

/** Starting values of trained tensors that PEFT's files do not hold; the set has them under the names that we give them. */
function outsideCheckpoint({ folder }: OracleCase): ReadonlyMap<string, Tensor> {
  const all = readTensors(join(folder, "expected.safetensors"));
  return new Map([...all].filter(([key]) => isOutsideCheckpoint(key)));
}

/** Untrained tensors that PEFT's files do not hold, where another library makes others: those that the set was made with. */
function unportable({ folder, name }: OracleCase): ReadonlyMap<string, Tensor> {
  if (!/^psoft/.test(name)) return new Map();
  // A case of conversion holds only what the conversion is compared with; its adapter is that of the method's own case.
  const all = readTensors(join(folder.replace(/-as-lora$/, ""), "expected.safetensors"));
  return new Map([...all].map(([key, tensor]) => [key.replace(/^frozen\./, "frozen.model."), tensor]));
}

/**
 * Factors that the weight has lost, for starts that another library or another draw makes otherwise: a fresh adapter's own. The
 * largest singular parts are among these, where a value is so near the next that float32 mixes the two.
 */
function takenFrom(
  { folder }: OracleCase,
  { init_lora_weights: init }: Readonly<Record<string, unknown>>,
): ReadonlyMap<string, Tensor> {
  if (typeof init !== "string" || !/^(pissa|corda|lora_ga)/.test(init)) return new Map();
  const all = readTensors(join(folder, "init.safetensors"));
  const factor = /^base_model\.(model\..*lora_[AB])\.weight$/;
  return new Map(
    [...all]
      .filter(([key]) => factor.test(key))
      .map(([key, tensor]) => [key.replace(factor, "frozen.$1.taken"), tensor]),
  );
}

function isOutsideCheckpoint(key: string): boolean {
  return key.startsWith("param.");
}

function withAliases<T>(
  tensors: ReadonlyMap<string, T>,
  aliases: ReadonlyMap<string, string>,
): Map<string, T> {
  const all = new Map(tensors);
  for (const [alias, key] of aliases) {
    const tensor = tensors.get(key) ?? tensors.get(alias);
    if (tensor !== undefined) all.set(alias, tensor).set(key, tensor);
  }
  return all;
}

function taskOf(model: string): NonNullable<CompileRequest["task"]> {
  const tasks: Readonly<Record<string, NonNullable<CompileRequest["task"]>>> = {
    llama: "causal-lm",
    gpt2: "causal-lm",
    bert: "seq-cls",
    t5: "seq2seq-lm",
    vit: "image-cls",
    smallconv: "image-cls",
  };
  return tasks[model] ?? "auto";
}

/** Optimizer, clipping and precision as train.json says them. */
function trainingOf(record: TrainRecord | undefined): Partial<CompileRequest> {
  if (record === undefined) return {};
  // PEFT's own optimizers, as the set writes their calls: create_NAME_optimizer(..., option=value, ...).
  const special = /^create_(\w+)_optimizer\((.*)\)/.exec(record.optimizer);
  const names: Readonly<Record<string, string>> = {
    loraplus: "lora-plus",
    lorafa: "lora-fa",
    riemannian: "riemannian",
  };
  const ownName = names[special?.[1] ?? ""];
  if (ownName !== undefined) {
    const known = /\b(loraplus_lr_ratio|loraplus_weight_decay|weight_decay|reg)=([\d.e-]+)/g;
    const given = [...(special?.[2] ?? "").matchAll(known)].map(([, key = "", value]) => [
      key,
      Number(value),
    ]);
    return {
      optimizer: { name: ownName, options: { lr: record.lr, ...Object.fromEntries(given) } },
      clip: record.max_grad_norm,
    };
  }
  const sgd = /SGD\(momentum=([\d.]+), weight_decay=([\d.]+)\)/.exec(record.optimizer);
  const optimizer =
    sgd === null
      ? { name: "adamw", options: { lr: record.lr, weight_decay: record.weight_decay } }
      : { name: "sgd", options: { lr: record.lr, momentum: Number(sgd[1]), weight_decay: Number(sgd[2]) } };
  const precision: Partial<CompileRequest> =
    record.amp === "fp16" ? { precision: "fp16" } : record.amp === "bf16" ? { precision: "bf16" } : {};
  const scaling =
    record.loss_scales.length > 0 ? { scaling: { scale: record.loss_scales[0] ?? 1, interval: 3 } } : {};
  return { optimizer, clip: record.max_grad_norm, ...precision, ...scaling };
}

/** Fields of one batch; `extra` such as expected logits are ignored by the graph. */
function batchOf(io: ReadonlyMap<string, NDArray>, name: string): Batch {
  const prefix = `${name}.`;
  const fields = new Map(
    [...io].flatMap(([key, array]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), array] as const] : [],
    ),
  );
  const labels = fields.get("labels");
  if (labels === undefined) return fields;
  // Fields that only some methods read, as the set's index describes them.
  const rows = labels.shape[0] ?? 0;
  const tasks = Array.from({ length: rows }, (_, row) => row % 3);
  return fields.set("task_ids", fromNumbers("int64", [rows], tasks)).set(
    "input_type_mask",
    fromNumbers(
      "int64",
      labels.shape,
      labels.toNumbers().map((label) => (label === -100 ? 0 : 4)),
    ),
  );
}

/** What an exported folder would hold before any training: the tensors of the one that was read. */
async function checkCheckpoint(
  { plan, state }: Compiled,
  wanted: ReadonlyMap<string, Tensor>,
): Promise<void> {
  if (plan.adapter.structure === undefined) return;
  const ofAdapter = new Map([...state.tensors].filter(([key]) => !key.includes("/")));
  const saved = await checkpointTensors(plan.adapter, ofAdapter, runConstantGraph);
  expect([...saved.keys()].sort()).toEqual([...wanted.keys()].sort());
  for (const [key, tensor] of wanted) {
    const own = saved.get(key);
    expectClose(`saved ${key}`, own && fromTensor(own), fromTensor(tensor), tolerances.exact);
  }
}

async function checkForward(
  compiled: Compiled,
  batch: Batch,
  expected: ReadonlyMap<string, NDArray>,
): Promise<void> {
  const session = await GraphSession.open(compiled.graphs.eval);
  try {
    const state = startingState(compiled, "eval");
    const results = await session.run(batch, state);
    expectClose("logits", resultOf(results, "logits"), expected.get("logits"), tolerances.exact);
    if (expected.has("logits.disabled")) {
      // LoRA with zero factors is the base model: what disabling the adapter means.
      const zeros = new Map(
        [...state].map(([name, { dtype, shape, size }]) => [
          name,
          fromNumbers(dtype, shape, new Float64Array(size)),
        ]),
      );
      const base = await session.run(batch, zeros);
      expectClose(
        "logits.disabled",
        resultOf(base, "logits"),
        expected.get("logits.disabled"),
        tolerances.exact,
      );
    }
    if (expected.has("loss"))
      expectClose("loss", resultOf(results, "loss"), expected.get("loss"), tolerances.exact);
  } finally {
    await session.close();
  }
}

async function checkGradients(
  compiled: Compiled,
  batch: Batch,
  expected: ReadonlyMap<string, NDArray>,
  aliases: ReadonlyMap<string, string>,
): Promise<void> {
  const session = await GraphSession.open(compiled.graphs.grad);
  try {
    const results = await session.run(batch, startingState(compiled, "grad"));
    const [output] = [...results.keys()].filter((value) => value.metadata.get("peft.role") === "grad");
    if (output === undefined) throw new Error("the gradient graph yields no gradient");
    const grads = splitFlat(output, results.get(output) ?? fromNumbers("float32", [0], []));
    const plain = new Map([...aliases].map(([name, reported]) => [reported, name]));
    const wanted = [...expected].flatMap(([key, array]) => {
      const name = key.slice("grad.".length);
      // A tensor that several modules share goes by any of their names.
      const own = grads.has(name) ? name : (plain.get(name) ?? name);
      return key.startsWith("grad.") ? [[own, array] as const] : [];
    });
    expect([...grads.keys()].sort()).toEqual(wanted.map(([key]) => key).sort());
    for (const [key, array] of wanted)
      expectClose(`gradient of ${key}`, grads.get(key), array, tolerances.gradient);
  } finally {
    await session.close();
  }
}

async function checkTraining(
  compiled: Compiled,
  io: ReadonlyMap<string, NDArray>,
  whole: TrainRecord,
  item: OracleCase,
): Promise<void> {
  const steps = comparableSteps(item.model, item.name);
  const record = { ...whole, ...firstSteps(whole, steps) };
  const run = record.gradient_accumulation > 1 ? accumulatedSteps : singleSteps;
  const { state, losses, norms, scales } = await run(compiled, io, record, item);
  const low = record.amp !== "none";
  const tolerance = low ? tolerances.low : tolerances.training;
  expectClose("losses", vector(losses), vector(record.losses), tolerance);
  if (!low) expectClose("gradient norms", vector(norms), vector(record.grad_norms), tolerance);
  if (record.loss_scales.length > 0) expect(scales).toEqual(record.loss_scales);
  if (steps < whole.batches.length) return;
  const [param] = compiled.graphs.train.graph.inputs.filter(
    (input) => input.metadata.get("peft.role") === "param",
  );
  if (param === undefined) throw new Error("nothing is trained");
  const trained = splitFlat(param, state.get(param.name) ?? fromNumbers("float32", [0], []));
  const loose = record.float64_difference?.loose_tensors ?? {};
  // Of a network the set lists only what it makes, which is loose where the network is.
  const isMadeLoose = Object.keys(loose).some((key) => !trained.has(key));
  const wanted = readArrays(join(item.resultsFolder, "trained.safetensors"));
  const withoutGradient = readUntouched(item.folder);
  for (const [key, array] of trained) {
    // PyTorch leaves alone what no gradient reaches, such as deviations without noise; here weight decay does not.
    if (withoutGradient.has(key)) continue;
    if (key in loose || (isOutsideCheckpoint(key) && isMadeLoose)) continue;
    // Of a tensor that PEFT cuts down before it saves it, the set holds the whole as well.
    const whole = wanted.get(`full.${key}`) ?? wanted.get(key);
    expectClose(`trained ${key}`, array, whole, low ? tolerances.low : tolerances.trained);
  }
}

function firstSteps(
  { batches, losses, grad_norms: norms }: TrainRecord,
  count: number,
): Pick<TrainRecord, "batches" | "losses" | "grad_norms"> {
  return {
    batches: batches.slice(0, count),
    losses: losses.slice(0, count),
    grad_norms: norms.slice(0, count),
  };
}

interface Trajectory {
  readonly state: State;
  readonly losses: number[];
  readonly norms: number[];
  readonly scales: number[];
}

async function singleSteps(
  compiled: Compiled,
  io: ReadonlyMap<string, NDArray>,
  record: TrainRecord,
): Promise<Trajectory> {
  const session = await GraphSession.open(compiled.graphs.train);
  const result: Trajectory = { state: startingState(compiled, "train"), losses: [], norms: [], scales: [] };
  try {
    for (const name of record.batches) {
      result.scales.push(result.state.get("loss_scale")?.numbers[0] ?? 1);
      const results = await session.run(batchOf(io, name), result.state, {
        lr: fromNumbers("float32", [], [record.lr]),
      });
      result.losses.push(scalar(resultOf(results, "loss")));
      result.norms.push(scalar(resultOf(results, "metric", "grad_norm")));
      advance(result.state, results);
    }
  } finally {
    await session.close();
  }
  return result;
}

/** Micro-batches through the gradient graph, their mean (over batches or over labelled tokens) through the update. */
async function accumulatedSteps(
  compiled: Compiled,
  io: ReadonlyMap<string, NDArray>,
  record: TrainRecord,
  item: OracleCase,
): Promise<Trajectory> {
  const byTokens = item.name.endsWith("-tokens");
  const grad = await GraphSession.open(compiled.graphs.grad);
  const apply = await GraphSession.open(compiled.graphs.apply);
  const result: Trajectory = { state: startingState(compiled, "apply"), losses: [], norms: [], scales: [] };
  const count = record.gradient_accumulation;
  try {
    for (let step = 0; step * count < record.batches.length; step++) {
      const micro = [];
      for (const name of record.batches.slice(step * count, (step + 1) * count)) {
        micro.push(await grad.run(batchOf(io, name), new Map([...result.state])));
      }
      const weights = micro.map((results) => (byTokens ? scalar(resultOf(results, "metric", "tokens")) : 1));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const sum = new Float64Array(resultOf(micro[0] ?? new Map(), "grad").size);
      let loss = 0;
      micro.forEach((results, i) => {
        const share = (weights[i] ?? 0) / total;
        loss += scalar(resultOf(results, "loss")) * share;
        resultOf(results, "grad").numbers.forEach((value, at) => {
          sum[at] = (sum[at] ?? 0) + value * share;
        });
      });
      const [input] = apply.model.graph.inputs.filter((value) => value.metadata.get("peft.role") === "grad");
      const results = await apply.run(new Map(), result.state, {
        lr: fromNumbers("float32", [], [record.lr]),
        [input?.name ?? ""]: new NDArray("float32", [sum.length], sum),
      });
      result.losses.push(loss);
      result.norms.push(scalar(resultOf(results, "metric", "grad_norm")));
      advance(result.state, results);
    }
  } finally {
    await grad.close();
    await apply.close();
  }
  return result;
}

function scalar(array: NDArray): number {
  return array.toNumbers()[0] ?? Number.NaN;
}

function vector(values: readonly number[]): NDArray {
  return fromNumbers("float64", [values.length], values);
}
