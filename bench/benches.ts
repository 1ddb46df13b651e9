/** The benchmarks by name. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileGraphs } from "../src/compile/compile.ts";
import { writeArtifact } from "../src/compile/write-artifact.ts";
import { readModel } from "../src/onnx/read.ts";
import { writeModel } from "../src/onnx/write.ts";
import { train } from "../src/runtime/train-files.ts";
import { Trainer } from "../src/runtime/trainer.ts";
import { chainModel } from "./chain-model.ts";
import { measure, type Row, spreadOf } from "./measure.ts";
import { batch, files, randomBatch, request, withArtifact } from "./subject.ts";

const shape = `${batch.rows} x ${batch.seq}`;
const subject = `stories260k, ${shape}`;

/** The text that an epoch goes over, and how many characters of it. */
const corpus = "fixtures/data/tinyshakespeare/input.txt";
const corpusLength = 100_000;

export const benches: Readonly<Record<string, () => Promise<Row[]>>> = {
  parse: async () => {
    const folder = mkdtempSync(join(tmpdir(), "peft-compile-parse-"));
    try {
      const chain = join(folder, "chain.onnx");
      await writeModel(chainModel(10_000), chain);
      const rows: Row[] = [];
      for (const [name, file] of [...Object.entries(files), ["10,000 nodes", chain] as const])
        rows.push({ bench: "parse", subject: name, unit: "ms", ...(await measure(() => readModel(file))) });
      return rows;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },

  pipeline: async () => {
    const rows: Row[] = [];
    for (const [name, file] of Object.entries(files)) {
      const model = readModel(file);
      const spread = await measure(() => compileGraphs(model, request), 5);
      rows.push({ bench: "pipeline", subject: `${name}, compile`, unit: "ms", ...spread });
    }
    const compiled = compileGraphs(readModel(files.stories260k), request);
    const folder = mkdtempSync(join(tmpdir(), "peft-compile-write-"));
    try {
      const spread = await measure(() => writeArtifact(compiled, folder));
      rows.push({ bench: "pipeline", subject: "stories260k, write", unit: "ms", ...spread });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return rows;
  },

  step: () =>
    withArtifact(async (folder) => {
      const rows: Row[] = [];
      for (const threads of [1, 2]) {
        const trainer = await Trainer.open(folder, { checkpoint: false, threads });
        const fields = randomBatch(trainer);
        const spread = await measure(() => trainer.step(fields), 15);
        await trainer.close();
        rows.push({ bench: "step", subject: `${subject}, threads ${threads}`, unit: "ms", ...spread });
      }
      return rows;
    }),

  memory: () =>
    withArtifact(async (folder) => {
      const peaks = Array.from({ length: 3 }, () => peakOfSteps(folder));
      return [{ bench: "memory", subject: `${subject}, process`, unit: "MB", ...spreadOf(peaks) }];
    }),

  epoch: () =>
    withArtifact(async (folder) => {
      const scratch = mkdtempSync(join(tmpdir(), "peft-compile-epoch-"));
      try {
        const text = join(scratch, "text.txt");
        writeFileSync(text, readFileSync(corpus, "utf8").slice(0, corpusLength));
        const seconds: number[] = [];
        for (let seed = 0; seed < 3; seed++) {
          const start = performance.now();
          const [out, data] = [join(scratch, `${seed}`), [text]];
          await train(folder, {
            data,
            out,
            seed,
            batch: batch.rows,
            maxLength: batch.seq,
            epochs: 1,
          });
          seconds.push((performance.now() - start) / 1000);
        }
        return [
          {
            bench: "epoch",
            subject: `stories260k, ${corpusLength} characters`,
            unit: "s",
            ...spreadOf(seconds),
          },
        ];
      } finally {
        rmSync(scratch, { recursive: true, force: true });
      }
    }),
};

/** Runs steps in this process, and gives the most memory that it has ever held, in MB. */
export async function ownPeak(folder: string): Promise<number> {
  const trainer = await Trainer.open(folder, { checkpoint: false, threads: 1 });
  const fields = randomBatch(trainer);
  for (let i = 0; i < 3; i++) await trainer.step(fields);
  await trainer.close();
  return process.resourceUsage().maxRSS / 1024;
}

/** The same in a process of its own. */
function peakOfSteps(folder: string): number {
  const main = fileURLToPath(new URL("./main.ts", import.meta.url));
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", "tsx", main, "--peak", folder],
    {
      encoding: "utf8",
    },
  );
  if (status !== 0) throw new Error(`steps in a process of their own failed:\n${stderr}`);
  return Number(stdout);
}
