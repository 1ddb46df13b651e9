/**
 * Times what the project does on models of the fixtures: `npm run bench`, or `npm run bench -- parse step` for some of it. Prints a
 * table and writes bench/results.json, where the entries of benchmarks that did not run stay. Only figures of one
 * machine that had nothing else to do can be compared.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { z } from "zod";
import { version } from "../src/artifact/version.ts";
import { probeRuntime } from "../src/runtime/probe.ts";
import { benches, ownPeak } from "./benches.ts";
import type { Row } from "./measure.ts";

const results = "bench/results.json";

const resultsSchema = z.record(z.string(), z.unknown());

const [first, folder] = process.argv.slice(2);
if (first === "--peak" && folder !== undefined) console.log(await ownPeak(folder));
else await runBenches(process.argv.slice(2));

async function runBenches(asked: readonly string[]): Promise<void> {
  const names = asked.length === 0 ? Object.keys(benches) : asked;
  const unknown = names.find((name) => benches[name] === undefined);
  if (unknown !== undefined) {
    console.error(`no benchmark "${unknown}"; there are ${Object.keys(benches).join(", ")}`);
    process.exitCode = 2;
    return;
  }
  const machine = {
    processor: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memory_gb: Math.round(totalmem() / 1e9),
  };
  const { version: onnxruntime } = await probeRuntime();
  const versions = { "peft-compile": version, onnxruntime, node: process.versions.node };
  console.log(`${machine.cores} x ${machine.processor}, ONNX Runtime ${onnxruntime}, Node ${versions.node}`);
  for (const name of names) {
    const load = loadavg()[0] ?? 0;
    const rows = (await benches[name]?.()) ?? [];
    for (const row of rows) console.log(lineOf(row));
    keep(name, {
      date: new Date().toISOString(),
      load_before: rounded(load),
      ...machine,
      ...versions,
      rows: rows.map(tidy),
    });
  }
}

function lineOf({ bench, subject, unit, median, low, high, runs }: Row): string {
  const figure = `${digits(median)} ${unit}`.padStart(12);
  return `${bench.padEnd(10)}${subject.padEnd(32)}${figure}   quartiles ${digits(low)} to ${digits(high)}, ${runs} runs`;
}

function digits(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1);
}

function keep(name: string, entry: Readonly<Record<string, unknown>>): void {
  const before = existsSync(results) ? resultsSchema.parse(JSON.parse(readFileSync(results, "utf8"))) : {};
  writeFileSync(results, `${JSON.stringify({ ...before, [name]: entry }, null, 2)}\n`);
}

function tidy({ median, low, high, ...row }: Row): Row {
  return { ...row, median: rounded(median), low: rounded(low), high: rounded(high) };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
