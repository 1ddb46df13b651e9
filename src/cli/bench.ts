/** `bench`: times training steps of a model and prints one line of JSON that a runner can compare with others'. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { version } from "../artifact/version.ts";
import { compileGraphs } from "../compile/compile.ts";
import { openModel } from "../compile/model-file.ts";
import { writeArtifact } from "../compile/write-artifact.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { Artifact } from "../runtime/artifact.ts";
import { wantedFields } from "../runtime/graph-ports.ts";
import { readPeerBatches } from "../runtime/peer-batches.ts";
import { probeRuntime } from "../runtime/probe.ts";
import { timeInProcess } from "./bench-process.ts";
import { addCompileOptions, type CompileOptions } from "./compile-options.ts";
import { chooseMethod, makeRequest } from "./compile-request.ts";
import { followLinksOption, positiveNumber, threadsOption, wholeNumber } from "./options.ts";
import type { Terminal } from "./terminal.ts";
import { commandPath, flagsOf, UsageError } from "./usage.ts";
import { type CommonOptions, defineVerb } from "./verb.ts";

interface BenchOptions extends CommonOptions, CompileOptions {
  readonly batch: number;
  readonly seq: number;
  readonly steps: number;
  readonly warmup: number;
  readonly lr?: number;
  readonly data?: string;
  readonly threads?: number;
  readonly followLinks?: boolean;
}

export function benchCommand(terminal: Terminal): Command {
  const command = defineVerb("bench", {
    description:
      "Times training steps: wall and processor time of forward, backward and update, reading the loss included. Steps run in a " +
      "process of their own, so that memory is that of training and not of compiling. Prints one " +
      "line of JSON. Compare only figures of one machine, taken alternately.",
    examples: [
      ["bench model.onnx --batch 16 --seq 128 --steps 20 --threads 2", "random data"],
      ["bench model.onnx --data batches.npz --adapter DIR", "batches and start of another program"],
    ],
  })
    .usage("[options] <model>")
    .argument("[model]", ".onnx file");
  addCompileOptions(command)
    .optionsGroup("Measure:")
    .option("--batch <n>", "examples of a batch", wholeNumber(1), 8)
    .option("--seq <n>", "length of named axes", wholeNumber(1), 128)
    .option("--steps <n>", "steps that are timed", wholeNumber(1), 20)
    .option("--warmup <n>", "steps before them", wholeNumber(0), 2)
    .option("--lr <x>", "learning rate; the optimizer's own unless given", positiveNumber)
    .option("--data <file>", "npz file with batches, instead of random ones")
    .addOption(threadsOption())
    .addOption(followLinksOption());
  return command.action(async (_model: string | undefined, options: BenchOptions) => {
    const path = commandPath(command);
    const choice = await chooseMethod(options, command.args, { path, flags: flagsOf(command) });
    const [model] = choice.operands;
    if (model === undefined)
      throw new UsageError(cliErrors.E_USAGE(`${path}: which model?`, `${path} --help`));
    const start = performance.now();
    const source = openModel(model, options);
    const request = makeRequest(choice, options, source);
    const optimizer = {
      name: request.optimizer?.name ?? "adamw",
      options: { ...request.optimizer?.options, ...(options.lr === undefined ? {} : { lr: options.lr }) },
    };
    const { adapter } = choice;
    const compiled = compileGraphs(
      source,
      { ...request, optimizer },
      adapter === undefined ? {} : { adapter: { file: adapter.file, tensors: adapter.tensors } },
    );
    const folder = mkdtempSync(join(tmpdir(), "peft-compile-bench-"));
    try {
      const manifest = await writeArtifact(compiled, folder);
      const compileMs = performance.now() - start;
      const figures = await measure(folder, options, terminal);
      const { version: runtime } = await probeRuntime();
      const versions = { "peft-compile": version, onnxruntime: runtime, node: process.versions.node };
      terminal.print(
        JSON.stringify({ ...figures, compile_ms: round(compileMs), trainable: manifest.trainable, versions }),
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** Batches are read here: what else their file holds is no part of training. */
function measure(
  folder: string,
  { batch, seq, steps, warmup, threads, data }: BenchOptions,
  terminal: Terminal,
): Promise<Record<string, unknown>> {
  const batches =
    data === undefined ? undefined : readPeerBatches(data, wantedFields(Artifact.open(folder).manifest));
  const job = { folder, batch, seq, steps, warmup, threads, batches };
  return timeInProcess(job, (step) => terminal.progress(`step ${step} of ${warmup + steps}`));
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
