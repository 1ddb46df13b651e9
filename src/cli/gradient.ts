/** `gradient`: the gradient of a model as a plain model. */
import type { Command } from "commander";
import { type GradientModel, makeGradient } from "../compile/gradient.ts";
import { openModel, requireModelName, saveModel } from "../compile/model-file.ts";
import type { Instrumentation } from "../compile/passes.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { writeFileAtomic } from "../formats/atomic-file.ts";
import { exitCodes } from "./failure.ts";
import { type GradientJob, type JobResult, readJobs, runJob } from "./gradient-jobs.ts";
import { plural } from "./numbers.ts";
import {
  addInstrumentation,
  followLinksOption,
  gatherList,
  type InstrumentationOptions,
  instrumentationOf,
  outputOption,
} from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { UsageError } from "./usage.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";
import { formatPairs } from "./wrap.ts";

interface GradientOptions extends CommonOptions, InstrumentationOptions {
  readonly of?: readonly string[];
  readonly wrt?: readonly string[];
  readonly output?: string;
  readonly jobs?: string;
  readonly results?: string;
  readonly followLinks?: boolean;
}

export function gradientCommand(terminal: Terminal): Command {
  const command = defineVerb("gradient", {
    description:
      "Writes the reverse-mode gradient of a model as a plain ONNX model: the original inputs and one upstream gradient " +
      "grad.OUTPUT for each output, the original outputs and grad.INPUT for each input.",
    examples: [
      ["gradient model.onnx -o grad.onnx", "every float output by every float input"],
      ["gradient model.onnx --of loss --wrt W1,W2 -o grad.onnx", "one output by two initializers"],
      ["gradient --jobs jobs.json --results results.json", "many models in one process"],
    ],
  })
    .argument("[model]", ".onnx or .onnxtxt file")
    .option("--of <names>", "outputs to differentiate; every float output unless given", gatherList)
    .option(
      "--wrt <names>",
      "inputs or initializers to differentiate by; every float input that gradients flow into unless given",
      gatherList,
    )
    .addOption(outputOption("gradient model to write, .onnx or .onnxtxt"))
    .option("--jobs <file>", 'JSON list of {"model", "of": [], "wrt": [], "out"}, instead of a model')
    .option("--results <file>", "where to write what became of the jobs")
    .addOption(followLinksOption());
  return addInstrumentation(command).action(async (model: string | undefined, options: GradientOptions) => {
    const watch: Instrumentation = {
      ...instrumentationOf(options, (text) => terminal.note(text)),
      onRemark: (pass, message) => terminal.note(`${pass}: ${message}`),
    };
    if (options.jobs !== undefined) return runJobs(options.jobs, model, options, watch, terminal);
    const { output } = options;
    if (model === undefined) throw usage("which model? give its path, or --jobs FILE");
    if (output === undefined) throw usage("where to write the gradient model? give -o FILE");
    const { of, wrt } = options;
    const made = await writeGradient({ model, of, wrt, out: output }, options, watch);
    const document = { ok: true, output, inputs: made.upstream, outputs: made.gradients };
    terminal.result(options.json, document, () => summarize(output, made, terminal));
  });
}

async function writeGradient(
  job: GradientJob,
  options: { readonly followLinks?: boolean },
  watch: Instrumentation,
): Promise<GradientModel> {
  requireModelName(job.out);
  const made = makeGradient(openModel(job.model, options), job, watch);
  await saveModel(made.model, job.out);
  return made;
}

async function runJobs(
  file: string,
  model: string | undefined,
  options: GradientOptions,
  watch: Instrumentation,
  terminal: Terminal,
): Promise<void> {
  if (model !== undefined) throw usage("a model and --jobs exclude each other");
  const results: JobResult[] = [];
  const bugs: unknown[] = [];
  const jobs = readJobs(file);
  for (const [index, job] of jobs.entries()) {
    terminal.progress(`${index + 1} of ${jobs.length}  ${job.model}`);
    const { result, bug } = await runJob(job, async () => {
      await writeGradient(job, options, watch);
    });
    results.push(result);
    if (bug !== undefined) bugs.push(bug);
  }
  if (options.results !== undefined) {
    await writeFileAtomic(options.results, `${JSON.stringify(results, undefined, 2)}\n`);
  }
  if (bugs.length > 0) terminal.exitCode = exitCodes.internal;
  terminal.result(options.json ?? options.results === undefined, results, () => summarizeJobs(results));
}

function usage(message: string): UsageError {
  return new UsageError(
    cliErrors.E_USAGE(`peft-compile gradient: ${message}`, "peft-compile gradient --help"),
  );
}

function summarize(output: string, { upstream, gradients }: GradientModel, terminal: Terminal): string {
  const pairs = [
    ...Object.entries(upstream).map(
      ([name, input]) => [input, `input, upstream gradient of ${name}`] as const,
    ),
    ...Object.entries(gradients).map(([name, result]) => [result, `output, gradient by ${name}`] as const),
  ];
  return `${output}\n${formatPairs(pairs, { width: terminal.width(), paint: terminal.style.name })}`;
}

function summarizeJobs(results: readonly JobResult[]): string {
  const refused = results.filter(({ ok }) => !ok);
  const lines = refused.map(({ out, error }) => `${out}: ${error?.code}`);
  return [`${plural(results.length, "job")}, ${refused.length} refused`, ...lines].join("\n");
}
