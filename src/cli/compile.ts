/** `compile`: a model, a method, a loss and an optimizer become a training artifact. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { adapters } from "../../passes/adapters/index.ts";
import { findAdapter } from "../adapt/registry.ts";
import { type Compiled, compileGraphs } from "../compile/compile.ts";
import { openModel } from "../compile/model-file.ts";
import type { CompileRequest } from "../compile/request.ts";
import { type StartedRequest, type StartTask, startFromData } from "../compile/start-from-data.ts";
import { writeArtifact } from "../compile/write-artifact.ts";
import type { Dataset } from "../data/batch.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import type { Model } from "../ir/model.ts";
import { defaultText, describeOptions } from "../pass/describe-options.ts";
import { openFiles } from "../runtime/open-data.ts";
import { addCompileOptions, type CompileOptions } from "./compile-options.ts";
import { type Choice, chooseMethod, makeRequest } from "./compile-request.ts";
import { type CompileSummary, showSummary, summaryDocument } from "./compile-summary.ts";
import { methodFlags } from "./method-flags.ts";
import {
  addInstrumentation,
  choiceOption,
  followLinksOption,
  type InstrumentationOptions,
  instrumentationOf,
  outputOption,
  wholeNumber,
} from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { commandPath, flagsOf, UsageError } from "./usage.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";
import { formatPairs } from "./wrap.ts";

interface Options extends CommonOptions, CompileOptions, InstrumentationOptions {
  readonly output?: string;
  readonly weights?: "reference" | "link" | "copy";
  readonly followLinks?: boolean;
  readonly hash?: string;
  readonly force?: boolean;
  readonly initData?: readonly string[];
  readonly initBatch: number;
}

export function compileCommand(terminal: Terminal): Command {
  const command = defineVerb("compile", {
    description:
      "Compiles a model into a training artifact: a folder with the graphs of one optimizer step, of evaluation, and of the " +
      "step in two halves, the starting state, and a manifest that says what everything is. `compile` may be left out.",
    examples: [
      ["compile model.onnx", "LoRA of rank 8 on every linear layer, into model.peft"],
      ["compile model.onnx --rank 16 --target q_proj,v_proj -o out", "rank and modules"],
      ['compile model.onnx --optimizer "sgd{lr=0.1}" --task seq-cls', "optimizer and task"],
      ["compile model.onnx --adapter my-adapter", "go on with an adapter of PEFT"],
      [
        "compile model.onnx --init-lora-weights eva --init-data train.tsv",
        "starting values from data, for methods that take them",
      ],
      ["compile --config peft.config.js", "everything from a file"],
    ],
  })
    .usage("[options] <model>")
    .argument("[model]", ".onnx file")
    .addOption(outputOption("folder to write; MODEL.peft unless given", "dir"));
  addCompileOptions(command)
    .optionsGroup("Starting values:")
    .option("--init-data <file...>", "data for starts that are taken from it, read as by train --data")
    .option("--init-batch <n>", "examples of a batch of it", wholeNumber(1), 8)
    .option("--batch <n>", "examples of a batch that --memory is meant for; 8 unless given", wholeNumber(1))
    .option("--seq <n>", "size of other axes that --memory is meant for; 128 unless given", wholeNumber(1))
    .optionsGroup("Files:")
    .addOption(
      choiceOption(
        "--weights <how>",
        "frozen weights: reference (where they lie), link or copy (into the folder)",
        ["reference", "link", "copy"],
      ),
    )
    .addOption(followLinksOption())
    .addOption(
      choiceOption("--hash <what>", "what of weight files is hashed: sampled or full", ["sampled", "full"]),
    )
    .option("--force", "overwrite a folder that holds training");
  addInstrumentation(command).addHelpText("after", () => methodHelp(command, terminal));
  return command.action((_model: string | undefined, options: Options) =>
    runCompile(command, options, terminal),
  );
}

async function runCompile(command: Command, options: Options, terminal: Terminal): Promise<void> {
  const path = commandPath(command);
  const choice = await chooseMethod(options, command.args, { path, flags: flagsOf(command) });
  const [given, ...excess] = choice.operands;
  const model = given ?? choice.config.model;
  if (model === undefined) throw usage(path, "which model? give the path of an .onnx file");
  if (excess.length > 0) throw usage(path, `one model at a time, but got ${choice.operands.join(" and ")}`);
  const output = options.output ?? choice.config.output ?? `${model.replace(/\.onnx(txt)?$/i, "")}.peft`;
  const clock = new Stopwatch();

  terminal.progress(`reading ${model}`);
  const source = openModel(model, options);
  clock.lap("read");
  terminal.progress("compiling");
  const compiled = await compileModel(source, choice, options, terminal);
  clock.lap("compile");
  terminal.progress(`writing ${output}`);
  const manifest = await writeArtifact(compiled, output, {
    ...pickWeights(options.weights ?? choice.config.weights),
    ...(options.force === undefined ? {} : { force: options.force }),
    ...(options.use?.[0] === undefined ? {} : { use: options.use[0] }),
  });
  clock.lap("write");

  const graphs = Object.values(manifest.graphs).map(({ file }) => file);
  const files = [...graphs, manifest.state].map((name) => ({
    name,
    bytes: statSync(join(output, name)).size,
  }));
  const summary: CompileSummary = { output, manifest, compiled, files, times: clock.laps };
  terminal.result(options.json, summaryDocument(summary), () => showSummary(summary, terminal));
}

async function compileModel(
  source: Model,
  choice: Choice,
  options: Options,
  terminal: Terminal,
): Promise<Compiled> {
  const { adapter } = choice;
  const asked = makeRequest(choice, options, source);
  const { request, starts } = await startedRequest(source, asked, options, terminal);
  return compileGraphs(
    source,
    options.hash === undefined ? request : { ...request, hash: options.hash === "full" ? "full" : "sampled" },
    {
      ...instrumentationOf(options, (text) => terminal.note(text)),
      ...(starts === undefined ? {} : { starts }),
      ...(adapter === undefined ? {} : { adapter: { file: adapter.file, tensors: adapter.tensors } }),
    },
  );
}

/** The request with what its data give, where it has any. */
async function startedRequest(
  source: Model,
  request: CompileRequest,
  { initData: data, initBatch: batch }: Options,
  terminal: Terminal,
): Promise<StartedRequest> {
  if (data === undefined) return { request, starts: undefined };
  const open = ({ task, numLabels, maxPositions }: StartTask): Dataset => {
    const manifest = { task: { name: task, options: {}, numLabels, maxPositions } };
    return openFiles({ manifest, weightsFolder: source.origin?.folder ?? "." }, { data }).dataset;
  };
  const onBatch = (done: number): void =>
    terminal.progress(`reading data for starting values: batch ${done}`);
  const started = await startFromData(source, request, { open, batch, onBatch });
  if (started.starts === undefined) terminal.note("--init-data: the method starts without data");
  return started;
}

function pickWeights(weights: Options["weights"]): { weights?: NonNullable<Options["weights"]> } {
  return weights === undefined ? {} : { weights };
}

function usage(path: string, message: string): UsageError {
  return new UsageError(cliErrors.E_USAGE(`${path}: ${message}`, `${path} --help`));
}

/** The options of the method that the command line names, for its help. */
function methodHelp(command: Command, terminal: Terminal): string {
  const { method = "lora" } = command.opts<Options>();
  const adapter = findAdapter(method, adapters);
  if (adapter === undefined) return "";
  const flags = [...methodFlags(adapter)];
  const pairs = describeOptions(adapter.options).flatMap((option): [string, string][] => {
    const own = flags.filter(([, { name }]) => name === option.name).map(([flag]) => flag);
    if (own.some((flag) => command.options.some(({ long }) => long === flag))) return [];
    const fallback = defaultText(option);
    return [[own.join(", "), `${option.type}${fallback === undefined ? "" : `, default ${fallback}`}`]];
  });
  const title = terminal.style.title(`Options of --method ${method}:`);
  const more = [
    `  What they mean: peft-compile methods ${method}`,
    "  Those of others: peft-compile compile --method NAME --help",
  ];
  return ["", title, formatPairs(pairs, { width: terminal.width() }), ...more].join("\n");
}

/** Milliseconds of each part of the work. */
class Stopwatch {
  readonly laps: Record<string, number> = {};
  #last = performance.now();

  lap(name: string): void {
    const now = performance.now();
    this.laps[name] = now - this.#last;
    this.#last = now;
  }
}
