/** Runs training steps of an artifact and times them: what the process of its own does that `bench` starts. */
import { existsSync, readFileSync } from "node:fs";
import type { Batch } from "../data/batch.ts";
import { Batches } from "../data/batches.ts";
import { wantedFields } from "../runtime/graph-ports.ts";
import { openData } from "../runtime/open-data.ts";
import { Trainer } from "../runtime/trainer.ts";

export interface BenchJob {
  readonly folder: string;
  readonly batch: number;
  readonly seq: number;
  readonly steps: number;
  readonly warmup: number;
  readonly threads: number | undefined;
  /** Random ones unless given. */
  readonly batches: readonly Batch[] | undefined;
}

/** Linux alone has it. */
const status = "/proc/self/status";

/** Times in milliseconds, memory in MiB, and all losses, those of the warm-up included. */
export async function timeSteps(
  { folder, batch, seq, steps, warmup, threads, batches: given }: BenchJob,
  onStep: (step: number) => void,
): Promise<Record<string, unknown>> {
  const trainer = await Trainer.open(folder, { threads, checkpoint: false });
  try {
    const next = given === undefined ? randomBatches(trainer, batch, seq) : inTurn(given);
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
      onStep(step + 1);
    }
    const median = medianOf(wall);
    return {
      step_ms_median: round(median),
      step_cpu_ms_median: round(medianOf(processor)),
      step_ms_min: round(Math.min(...wall)),
      samples_per_s: round((rows * 1000) / median),
      tokens_per_s: round((tokens * 1000) / median),
      peak_rss_mb: round(peakResident()),
      loss,
    };
  } finally {
    await trainer.close();
  }
}

/** MiB. What the system counts for a process by other means includes what its parent held when it began. */
function peakResident(): number {
  const kilobytes = existsSync(status) ? /VmHWM:\s+(\d+)/.exec(readFileSync(status, "utf8"))?.[1] : undefined;
  return Number(kilobytes ?? process.resourceUsage().maxRSS) / 1024;
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
