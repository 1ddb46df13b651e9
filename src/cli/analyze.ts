/** `analyze`: what a training step takes, before it runs. */
import type { Command } from "commander";
import {
  type Communication,
  flopTable,
  isArtifact,
  memoryTable,
  openSubject,
  parameterTable,
  ringAllReduce,
  type Subject,
  subjectOf,
} from "../compile/analyze.ts";
import { compileGraphs } from "../compile/compile.ts";
import { openModel } from "../compile/model-file.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { communicationText, flopsText, memoryText, parametersText } from "./analyze-text.ts";
import { compareMethods, methodsText } from "./compare-methods.ts";
import { addCompileOptions, type CompileOptions } from "./compile-options.ts";
import { chooseMethod, makeRequest } from "./compile-request.ts";
import { memoryChart } from "./memory-chart.ts";
import { followLinksOption, gatherList, positiveNumber, wholeNumber } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { commandPath, flagsOf, UsageError } from "./usage.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

interface AnalyzeOptions extends CommonOptions, CompileOptions {
  readonly batch: number;
  readonly seq: number;
  readonly svg?: string;
  readonly methods?: readonly string[];
  readonly bandwidth: number;
  readonly latency: number;
  readonly followLinks?: boolean;
}

type Report = (
  options: AnalyzeOptions,
  subject: Subject,
  terminal: Terminal,
  path: string,
) => Promise<Finding>;

interface Finding {
  readonly document: unknown;
  readonly text: () => string;
}

const reports: Readonly<Record<string, Report>> = {
  memory: reportMemory,
  flops: reportFlops,
  params: reportParameters,
  comm: reportCommunication,
};

export function analyzeCommand(terminal: Terminal): Command {
  const command = defineVerb("analyze", {
    description:
      "Says what a training step takes without running it: memory by phase as ONNX Runtime will ask for it, floating-point " +
      "operations of products, trained tensors, or what data-parallel ranks have to exchange. A model is compiled for it, with " +
      "the options of `compile`.",
    examples: [
      ["analyze memory model.peft --batch 16 --seq 128", "peak by phase, and what is held there"],
      ["analyze memory model.peft --svg memory.svg", "the same over the nodes of a step, as a picture"],
      ["analyze flops model.onnx --method lora --r 16", "operations of a step that is not compiled yet"],
      ["analyze params model.onnx --methods lora,ia3,oft", "methods side by side; all for every one"],
      ["analyze comm model.peft --bandwidth 12.5", "all-reduce of the gradients, 12.5 GB/s between ranks"],
    ],
  })
    .usage("[options] <what> <artifact or model>")
    .argument("[what]", Object.keys(reports).join(", "))
    .argument("[path]", "folder that `compile` wrote, or .onnx file");
  addCompileOptions(command)
    .optionsGroup("Analyze:")
    .option("--batch <n>", "examples of a batch", wholeNumber(1), 8)
    .option("--seq <n>", "size of other named axes", wholeNumber(1), 128)
    .option("--svg <file>", "memory: write a timeline")
    .option("--methods <names>", "params: compare methods on a model", gatherList)
    .option("--bandwidth <gb>", "comm: GB per second between two ranks", positiveNumber, 1.25)
    .option("--latency <us>", "comm: microseconds of a message", positiveNumber, 50)
    .addOption(followLinksOption());
  return command.action((_what: string | undefined, _path: string | undefined, options: AnalyzeOptions) =>
    analyze(command, options, terminal),
  );
}

async function analyze(command: Command, options: AnalyzeOptions, terminal: Terminal): Promise<void> {
  const verb = commandPath(command);
  const choice = await chooseMethod(options, command.args, { path: verb, flags: flagsOf(command) });
  const [what = "", path, ...excess] = choice.operands;
  const report = Object.hasOwn(reports, what) ? reports[what] : undefined;
  if (report === undefined || path === undefined || excess.length > 0) {
    const expected = `one of ${Object.keys(reports).join(", ")}, then an artifact or a model`;
    throw new UsageError(cliErrors.E_USAGE(`${verb}: ${expected}`, `${verb} --help`));
  }
  if (options.methods !== undefined) {
    if (what !== "params" || isArtifact(path))
      throw new UsageError(
        cliErrors.E_USAGE(`${verb}: --methods is for params of a model`, `${verb} --help`),
      );
    const source = openModel(path, options);
    const rows = compareMethods(source, options.methods, options, (name) => terminal.progress(name));
    terminal.result(options.json, { ok: true, file: path, methods: rows }, () =>
      methodsText(terminal, path, rows),
    );
    return;
  }
  const subject = isArtifact(path) ? openSubject(path) : compileSubject(path, choice, options);
  const { document, text } = await report(options, subject, terminal, path);
  terminal.result(options.json, document, text);
}

function compileSubject(
  path: string,
  choice: Awaited<ReturnType<typeof chooseMethod>>,
  options: AnalyzeOptions,
): Subject {
  const source = openModel(path, options);
  const { adapter } = choice;
  const request = makeRequest(choice, options, source);
  return subjectOf(
    compileGraphs(
      source,
      request,
      adapter === undefined ? {} : { adapter: { file: adapter.file, tensors: adapter.tensors } },
    ),
  );
}

async function reportMemory(
  options: AnalyzeOptions,
  subject: Subject,
  terminal: Terminal,
  path: string,
): Promise<Finding> {
  const { batch, seq, svg } = options;
  const found = memoryTable(subject, { batch, seq });
  const title = `${path}, batch ${batch}, seq ${seq}`;
  if (svg !== undefined) await writeFileAtomic(svg, memoryChart(found, title));
  const { weights, use, growth } = found;
  const holders = use.holders.slice(0, 20).map(({ value, bytes }) => ({ value: value.name, bytes }));
  const document = {
    ...{ ok: true, file: path, batch, seq, weights, growth, phases: found.phases },
    ...{ peak: use.peak, taken: use.taken, holders, unknown: use.unknown.map(({ name }) => name) },
    ...{ timeline: use.moments.map(({ node, live }, i) => [node.name, found.phaseAt[i], live]) },
  };
  return { document, text: () => memoryText(terminal, title, found) };
}

async function reportFlops(
  options: AnalyzeOptions,
  subject: Subject,
  terminal: Terminal,
  path: string,
): Promise<Finding> {
  const { batch, seq } = options;
  const found = flopTable(subject, { batch, seq });
  return {
    document: { ok: true, file: path, batch, seq, flops: found },
    text: () => flopsText(terminal, `${path}, batch ${batch}, seq ${seq}`, found),
  };
}

async function reportParameters(
  _options: AnalyzeOptions,
  subject: Subject,
  terminal: Terminal,
  path: string,
): Promise<Finding> {
  const found = parameterTable(subject);
  return { document: { ok: true, file: path, ...found }, text: () => parametersText(terminal, path, found) };
}

async function reportCommunication(
  { bandwidth, latency }: AnalyzeOptions,
  subject: Subject,
  terminal: Terminal,
  path: string,
): Promise<Finding> {
  const network = { bandwidth: bandwidth * 1e9, latency: latency * 1e-6 };
  const { trainable, parameters } = parameterTable(subject);
  const rows = [2, 4, 8, 16].map((ranks) => {
    const full: Communication = ringAllReduce(parameters, ranks, network);
    return { ...ringAllReduce(trainable, ranks, network), full };
  });
  const title = `${path}: gradients of a step, ${bandwidth} GB/s, ${latency} us a message`;
  return {
    document: { ok: true, file: path, bandwidth, latency, ranks: rows },
    text: () => communicationText(terminal, title, rows),
  };
}
