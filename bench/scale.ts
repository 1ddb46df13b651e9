/**
 * How the cost of compiling grows with the model: chains of nodes, and real files that are named.
 *
 *   npm run bench:scale -- [MODEL.onnx ...]
 *
 * Each compilation, from the file to the written artifact, has a process of its own, so that peak memory is its own.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileGraphs } from "../src/compile/compile.ts";
import { writeArtifact } from "../src/compile/write-artifact.ts";
import { readModel } from "../src/onnx/read.ts";
import { writeModel } from "../src/onnx/write.ts";
import { chainModel } from "./chain-model.ts";

interface Cost {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMb: number;
}

const lengths = [1000, 3000, 10_000, 30_000, 100_000];
const widest = 40;
const folder = mkdtempSync(join(tmpdir(), "peft-compile-scale-"));
try {
  const [first, ...rest] = process.argv.slice(2);
  if (first === "--one") console.log(JSON.stringify(await compileOne(rest[0] ?? "")));
  else await compareAll(process.argv.slice(2));
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function compileOne(file: string): Promise<Cost> {
  const start = performance.now();
  const compiled = compileGraphs(readModel(file), {
    method: { name: "lora", options: { r: 8, target_modules: "all-linear" } },
  });
  await writeArtifact(compiled, join(folder, "artifact"));
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  return {
    seconds: (performance.now() - start) / 1000,
    cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
    peakMb: maxRSS / 1024,
  };
}

function inProcess(file: string): Cost {
  const self = fileURLToPath(import.meta.url);
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", self, "--one", file], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`compiling ${file} failed:\n${stderr}`);
  return JSON.parse(stdout);
}

async function compareAll(files: readonly string[]): Promise<void> {
  console.log(
    `LoRA on all linear modules, ${cpus()[0]?.model ?? "unknown processor"}, Node ${process.versions.node}`,
  );
  const costs: [string, Cost][] = [];
  for (const length of lengths) {
    const file = join(folder, `chain-${length}.onnx`);
    await writeModel(chainModel(length), file);
    costs.push([`${length} nodes`, inProcess(file)]);
  }
  const longest = Math.max(...costs.map(([, { seconds }]) => seconds));
  for (const [name, cost] of costs) print(name, cost, longest);
  for (const file of files) print(basename(file), inProcess(file));
}

function print(name: string, { seconds, cpuSeconds, peakMb }: Cost, longest?: number): void {
  const bar = longest === undefined ? "" : "#".repeat(Math.round((seconds / longest) * widest));
  const numbers = [`${seconds.toFixed(2)} s`, `cpu ${cpuSeconds.toFixed(2)} s`, `${peakMb.toFixed(0)} MB`];
  const columns = numbers.map((text) => text.padStart(12)).join("");
  console.log(`${name.padEnd(16)}${columns}  ${bar}`.trimEnd());
}
