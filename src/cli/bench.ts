/** `bench`: times training steps of a model and prints one line of JSON that a runner can compare with others'. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { version } from "../artifact/version.ts";
import { compileGraphs } from "../compile/compile.ts";
import { openModel } from "../compile/model-file.ts";
import { writeArtifact } from "../compile/write-artifact.ts";
import type { Batch } from "../data/batch.ts";
import { Batches } from "../data/batches.ts";
import { cliErrors } from "../diagnostics/cli.ts";
import { wantedFields } from "../runtime/graph-ports.ts";
import { openData } from "../runtime/open-data.ts";
import { readPeerBatches } from "../runtime/peer-batches.ts";
import { probeRuntime } from "../runtime/probe.ts";
import { Trainer } from "../runtime/trainer.ts";
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
      "Times training steps: wall and processor time of forward, backward and update, reading the loss included. Prints one " +
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

async function measure(
  folder: string,
  options: BenchOptions,
  terminal: Terminal,
): Promise<Record<string, unknown>> {
  const { batch, seq, steps, warmup, threads, data } = options;
  const trainer = await Trainer.open(folder, { threads, checkpoint: false });
  try {
    const wanted = wantedFields(trainer.artifact.manifest);
    const next =
      data === undefined ? randomBatches(trainer, batch, seq) : inTurn(readPeerBatches(data, wanted));
    const wall: number[] = [];
    const processor: number[] = [];
    const loss: number[] = [];
    let tokens = 0;
    let rows = batch;
    for (let step = 0; step < warmup + steps; step++) {
      const batches = Array.from({ length: trainer.batchesPerStep }, next);
      const [shape = [batch]] = Object.values(batches[0] ?? {}).map((field) => field.shape);
      rows = (shape[0] ?? batch) * batches.length;
      tokens = rows * (shape.length === 2 ? (shape[1] ?? 1) : 1);
      const [time, cpu] = [performance.now(), process.cpuUsage()];
      const results = await trainer.run(batches);
      const used = process.cpuUsage(cpu);
      if (step >= warmup) {
        wall.push((performance.now() - time) / results.length);
        processor.push((used.user + used.system) / 1000 / results.length);
      }
      for (const result of results) loss.push(result.loss);
      terminal.progress(`step ${step + 1} of ${warmup + steps}`);
    }
    const median = medianOf(wall);
    return {
      step_ms_median: round(median),
      step_cpu_ms_median: round(medianOf(processor)),
      step_ms_min: round(Math.min(...wall)),
      samples_per_s: round((rows * 1000) / median),
      tokens_per_s: round((tokens * 1000) / median),
      peak_rss_mb: round(process.resourceUsage().maxRSS / 1024),
      loss,
    };
  } finally {
    await trainer.close();
  }
}

function randomBatches(trainer: Trainer, batch: number, seq: number): () => Batch {
  const { dataset } = openData(trainer.artifact, { data: ["random"], axes: { seq } });
  const batches = new Batches(dataset, {
    batch,
    order: "in-order",
    wanted: wantedFields(trainer.artifact.manifest),
  });
  return () => batches.next();
}

function inTurn(batches: readonly Batch[]): () => Batch {
  let at = 0;
  return () => batches[at++ % batches.length] ?? {};
}

function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
