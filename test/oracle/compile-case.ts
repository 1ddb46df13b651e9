/** Compiles an oracle case as its folder says: method, options, starting values, and how it is trained. */
import { join } from "node:path";
import { adapters } from "../../passes/adapters/index.ts";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { type PeftFolder, readPeftFolder, readTensors } from "../../src/compile/peft-folder.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import type { Model } from "../../src/ir/model.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { readModel } from "../../src/onnx/read.ts";
import { adjustedOptions } from "./built.ts";
import { type OracleCase, readAliases, readTrainRecord, type TrainRecord } from "./oracle-set.ts";

export interface CompiledCase {
  readonly peft: PeftFolder;
  readonly model: Model;
  readonly compiled: Compiled;
  /** Undefined where the case has no training. */
  readonly record: TrainRecord | undefined;
  /** Options that are not those of the case's folder. */
  readonly adjusted: Readonly<Record<string, unknown>>;
  /** Whether the training graphs compute in float32. */
  readonly full: boolean;
}

/** @param changes to the request that the case makes. */
export function compileCase(item: OracleCase, changes: Partial<CompileRequest> = {}): CompiledCase {
  const peft = readPeftFolder(item.adapterFolder, adapters);
  const record = readTrainRecord(item.resultsFolder);
  const model = readModel(item.modelFile);
  const adjusted = {
    ...scheduleOptions(peft.options, record),
    ...adjustedOptions(item.model, item.name),
  };
  const request: CompileRequest = {
    method: { name: peft.method, options: { ...peft.options, ...adjusted } },
    modulesToSave: savedModules(peft.options),
    task: taskOf(item.model),
    ...trainingOf(record),
    ...changes,
  };
  const compiled = compileGraphs(model, request, {
    adapter: {
      file: peft.file,
      tensors: new Map([
        ...withAliases(peft.tensors, readAliases(item.folder)),
        ...outsideCheckpoint(item),
        ...unportable(item),
        ...takenFrom(item, peft.options),
      ]),
    },
    // In evaluation mode PEFT has no dropout and no noise.
    still: record?.mode === "eval",
  });
  return { peft, model, compiled, record, adjusted, full: request.precision === undefined };
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
  if (!/^psoft|^frod-unsaved$/.test(name)) return new Map();
  // A case of conversion holds only what the conversion is compared with; its adapter is that of the method's own case.
  const all = readTensors(join(folder.replace(/-as-lora$/, ""), "expected.safetensors"));
  const frozen = [...all].filter(([key]) => key.startsWith("frozen."));
  // Tensors of modules, and those that all have in common, stand under different roots.
  return new Map([
    ...frozen,
    ...frozen.map(([key, tensor]) => [key.replace(".", ".model."), tensor] as const),
  ]);
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

/** Whether PEFT's files lack a trained tensor, and have only what it makes. */
export function isOutsideCheckpoint(key: string): boolean {
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

export function taskOf(model: string): NonNullable<CompileRequest["task"]> {
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
