/** `opt`: runs a pipeline of passes over a model, in the manner of mlir-opt. */
import type { Command } from "commander";
import { openModel, requireModelName, saveModel, standardStream } from "../compile/model-file.ts";
import { runPipeline } from "../compile/run-pipeline.ts";
import type { PipelineReport } from "../pass/manager.ts";
import { printModel } from "../text/print.ts";
import { duration, plural } from "./numbers.ts";
import {
  addInstrumentation,
  followLinksOption,
  gatherList,
  type InstrumentationOptions,
  instrumentationOf,
  outputOption,
} from "./options.ts";
import { usePlugIns } from "./plug-ins.ts";
import type { Terminal } from "./terminal.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

interface OptOptions extends CommonOptions, InstrumentationOptions {
  readonly pipeline?: string;
  readonly output: string;
  readonly followLinks?: boolean;
  readonly use?: readonly string[];
}

export function optCommand(terminal: Terminal): Command {
  const command = defineVerb("opt", {
    description:
      "Runs passes over a model and writes the result. Models are .onnx files or ONNX text (.onnxtxt); - is text on " +
      "standard input or output.",
    examples: [
      ["opt model.onnx", "show a model as text"],
      ["opt model.onnx --pipeline infer-shapes,fold,dce -o small.onnx", "clean a model up"],
      ['opt in.onnxtxt --pipeline "cse{scalars=true}" --stats', "a pass with an option, and what it counted"],
    ],
  })
    .argument("<model>", ".onnx or .onnxtxt file, or - for text on standard input")
    .option("--pipeline <passes>", 'passes in order, such as "a,b{key=value}"; none unless given')
    .addOption(outputOption("where to write; standard output unless given").default(standardStream, "-"))
    .addOption(followLinksOption())
    .option("--use <file>", "load a pass from a file (may be repeated)", gatherList);
  return addInstrumentation(command).action((model: string, options: OptOptions) =>
    runOpt(model, options, terminal),
  );
}

async function runOpt(path: string, options: OptOptions, terminal: Terminal): Promise<void> {
  const { output, pipeline = "", json } = options;
  requireModelName(output);
  const extra = await usePlugIns(options.use ?? []);
  const model = openModel(path, options);
  const report = runPipeline(model, pipeline, {
    ...instrumentationOf(options, (text) => terminal.note(text)),
    passes: extra,
    onRemark: (pass, message) => terminal.note(`${pass}: ${message}`),
  });
  if (output === standardStream) {
    if (json !== true) return terminal.print(printModel(model));
    return terminal.result(true, { ok: true, ...describeReport(report), text: printModel(model) }, () => "");
  }
  await saveModel(model, output);
  terminal.result(json, { ok: true, output, ...describeReport(report) }, () => summarize(output, report));
}

function describeReport({ changed, steps }: PipelineReport): object {
  return { changed, passes: steps };
}

function summarize(output: string, { steps }: PipelineReport): string {
  const changed = steps.filter((step) => step.changed).length;
  const total = steps.reduce((sum, { ms }) => sum + ms, 0);
  const did =
    steps.length === 0
      ? "no passes"
      : `${plural(steps.length, "pass", "passes")}, ${changed} changed something`;
  return `${output}  ${did}, ${duration(total)}`;
}
