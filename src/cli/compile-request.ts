/** From the options of a command line to a request for the compiler. */
import { requireAdapter } from "../../passes/adapt.ts";
import { losses } from "../../passes/losses/index.ts";
import { bindOptimizer } from "../../passes/optimize.ts";
import { scheduleSchema } from "../artifact/manifest.ts";
import { withDefaultTargets } from "../compile/method.ts";
import { type PeftFolder, readPeftFolder } from "../compile/peft-folder.ts";
import { type CompileRequest, compileSchema } from "../compile/request.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { nearNames } from "../diagnostics/define.ts";
import { trainingErrors } from "../diagnostics/training.ts";
import type { Model } from "../ir/model.ts";
import { type GivenOptions, resolveOptions } from "../pass/options.ts";
import { OptionText, parseCall } from "../pass/syntax.ts";
import { floatOutputs, peftTaskTypes, type TaskName, taskNames } from "../training/tasks.ts";
import type { CompileOptions } from "./compile-options.ts";
import { type Config, readConfig } from "./config-file.ts";
import { readMethodArguments } from "./method-flags.ts";
import { usePlugIns } from "./plug-ins.ts";

/** What the command line says, found and checked before the model is read. */
export interface Choice {
  readonly config: Config;
  readonly adapter: PeftFolder | undefined;
  readonly method: { readonly name: string; readonly options: GivenOptions };
  /** Arguments that are no options: the model. */
  readonly operands: readonly string[];
}

/**
 * Finds the method and its options, from flags, an adapter folder or a configuration file, in this order.
 *
 * @param args what the verb left over.
 * @param verb path and flags of the verb, for messages.
 * @throws UsageError, DiagnosticError.
 */
export async function chooseMethod(
  options: CompileOptions,
  args: readonly string[],
  verb: { readonly path: string; readonly flags: readonly string[] },
): Promise<Choice> {
  await usePlugIns(options.use ?? []);
  const config = options.config === undefined ? {} : await readConfig(options.config);
  const folder = options.adapter ?? config.adapter;
  const adapter = folder === undefined ? undefined : readPeftFolder(folder);
  if (adapter !== undefined && options.method !== undefined && options.method !== adapter.method) {
    throw cliErrors.E_CONFLICT("--adapter", "--method", `the folder's method is ${adapter.method}`);
  }
  const name = adapter?.method ?? options.method ?? config.method?.name ?? "lora";
  const record = requireAdapter(name);
  const { target, exclude } = options;
  const targets = [
    ...(target === undefined ? [] : [`--target=${target}`]),
    ...(exclude === undefined ? [] : [`--exclude=${exclude}`]),
  ];
  const { operands, options: flags } = readMethodArguments(record, [...targets, ...args], verb);
  const fromConfig =
    config.method?.name === undefined || config.method.name === name ? config.method?.options : {};
  return {
    config,
    adapter,
    operands,
    method: { name, options: withDefaultTargets(record, { ...fromConfig, ...adapter?.options, ...flags }) },
  };
}

/**
 * The request that options and configuration make together, options first.
 *
 * @throws DiagnosticError `E_LOSS_UNKNOWN`, `E_OPTIMIZER_UNKNOWN`, `E_UNKNOWN_OPTION`, `E_BAD_OPTION`.
 */
export function makeRequest(choice: Choice, options: CompileOptions, model: Model): CompileRequest {
  const { config, method, adapter } = choice;
  const { model: _model, output: _output, adapter: _adapter, weights: _weights, ...settings } = config;
  const { loss, optimizer, schedule, modulesToSave } = options;
  const task = options.task ?? settings.task ?? taskOfAdapter(adapter);
  const given = {
    ...settings,
    method,
    task,
    loss: loss === undefined ? settings.loss : readLoss(loss, model),
    optimizer: optimizer === undefined ? settings.optimizer : readOptimizer(optimizer),
    schedule: schedule === undefined ? settings.schedule : readSchedule(schedule),
    modulesToSave: modulesToSave ?? settings.modulesToSave,
    memory: readMemory(options) ?? settings.memory,
    ...pick(options, [
      "clip",
      "precision",
      "base",
      "provider",
      "accumulate",
      "accumulateBy",
      "stepsPerRun",
      "seed",
      "disable",
      "portable",
      "recompute",
      "prepack",
    ]),
  };
  const present = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return compileSchema.parse(present);
}

/** The task that a folder's `task_type` names, where it names one alone: SEQ_CLS covers three. */
function taskOfAdapter(adapter: PeftFolder | undefined): TaskName | undefined {
  const type = adapter?.taskType ?? undefined;
  const tasks = type === undefined ? [] : taskNames.filter((task) => peftTaskTypes[task] === type);
  return tasks.length === 1 ? tasks[0] : undefined;
}

function readLoss(text: string, model: Model): CompileRequest["loss"] {
  const { name, options } = parseCall(text);
  const record = losses.find((candidate) => candidate.name === name);
  if (record !== undefined) {
    const { logits, ...own } = options;
    const values = resolveOptions(`loss "${name}"`, record.options, own);
    return { name, options: values, ...(logits === undefined ? {} : { logits: textOf(logits) }) };
  }
  const outputs = floatOutputs(model.graph).map((output) => output.name);
  if (outputs.includes(text)) return { name: "existing", logits: text };
  const all = [...losses.map((candidate) => candidate.name), ...outputs];
  throw trainingErrors.E_LOSS_UNKNOWN(name, nearNames(name, all), all);
}

function readOptimizer(text: string): CompileRequest["optimizer"] {
  const { name, options } = parseCall(text);
  return { name, options: bindOptimizer(name, options).options };
}

function readSchedule(text: string): CompileRequest["schedule"] {
  const { name, options } = parseCall(text);
  const kind = new OptionText([{ text: name, quoted: false }], false);
  return scheduleSchema.parse(resolveOptions("--schedule", scheduleSchema, { kind, ...options }));
}

function readMemory({ memory, batch, seq }: CompileOptions): CompileRequest["memory"] {
  if (memory === undefined) return undefined;
  return { bytes: memory, ...(batch === undefined ? {} : { batch }), ...(seq === undefined ? {} : { seq }) };
}

function textOf({ words }: OptionText): string {
  return words.map(({ text }) => text).join(",");
}

function pick<T extends object, K extends keyof T>(from: T, keys: readonly K[]): Partial<Pick<T, K>> {
  const picked: Partial<Pick<T, K>> = {};
  for (const key of keys) if (from[key] !== undefined) picked[key] = from[key];
  return picked;
}
