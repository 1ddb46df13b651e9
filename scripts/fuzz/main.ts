/**
 * Fuzzes the compiler: damaged copies of real files must give a model or a diagnostic, soon, within bounded memory.
 *
 *   npm run fuzz -- [--minutes 1] [--seed 0] [--out FOLDER] [FILE.onnx ...]
 *
 * Files whose damage found something are written to the folder, with what happened in their names' place in the list.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { mutate } from "./mutate.ts";
import type { Outcome, Trial } from "./worker.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: "0" },
    out: { type: "string" },
  },
});

/** Longest time that one stage may take, and heap that it may use. */
const limits = { ms: 10_000, heapMb: 400 };
const largest = 400_000;

const files = positionals.length > 0 ? positionals : fixtures("fixtures");
const seeds = files.map((file) => ({ file, bytes: Uint8Array.from(readFileSync(file)) }));
const found = new Map<string, { count: number; trial: Trial; stage: string; text: string }>();
const endings = new Map<string, number>();
const end = Date.now() + 60_000 * Number(values.minutes);

let worker = start();
let trials = 0;
for (let seed = Number(values.seed); Date.now() < end; seed++) {
  const chosen = seeds[seed % seeds.length];
  if (chosen === undefined) throw new Error("no files to damage");
  await tryOne({ ...chosen, seed });
  trials++;
}
worker.kill();
report();

function start(): ChildProcess {
  return fork(new URL("./worker.ts", import.meta.url), {
    execArgv: ["--import", "tsx", `--max-old-space-size=${limits.heapMb}`],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
}

/** Waits for every stage of a trial; a stage that hangs or dies ends it, and the worker with it. */
async function tryOne(trial: Trial): Promise<void> {
  let stage = "read";
  const problem = await new Promise<string | undefined>((resolve) => {
    const hang = (): NodeJS.Timeout => setTimeout(() => resolve("hang"), limits.ms);
    let timer = hang();
    worker.on("message", ({ stage: done, result }: Outcome) => {
      clearTimeout(timer);
      if (done === "end") return resolve(undefined);
      timer = hang();
      stage = done;
      const ending = result.startsWith("bug: ") ? "bug" : result;
      endings.set(`${done} ${ending}`, (endings.get(`${done} ${ending}`) ?? 0) + 1);
      if (ending === "bug") note(trial, done, result);
    });
    worker.on("exit", (code, signal) => {
      clearTimeout(timer);
      resolve(`died of ${signal ?? code}`);
    });
    worker.send(trial);
  });
  worker.removeAllListeners("message");
  worker.removeAllListeners("exit");
  if (problem === undefined) return;
  note(trial, `after ${stage}`, problem);
  worker.kill("SIGKILL");
  worker = start();
}

/** Failures of one cause are told apart by stage, message without numbers, and innermost place. */
function note(trial: Trial, stage: string, text: string): void {
  const [first = "", ...stack] = text.split("\n");
  const place = stack.find((line) => /src\/|passes\//.test(line))?.trim() ?? "";
  const key = `${stage} ${first.replace(/"[^"]*"|\d+/g, "_")} ${place}`;
  const known = found.get(key);
  if (known === undefined) found.set(key, { count: 1, trial, stage, text });
  else known.count++;
}

function report(): void {
  for (const [ending, count] of [...endings].sort((a, b) => b[1] - a[1]))
    console.log(String(count).padStart(8), ending);
  console.log(`${trials} files, ${found.size} kinds of failures`);
  const { out } = values;
  if (out !== undefined) mkdirSync(out, { recursive: true });
  [...found.values()].forEach(({ count, trial, stage, text }, index) => {
    const name = `${String(index).padStart(3, "0")}.onnx`;
    console.log(
      `\n${name} x ${count}: ${trial.file}, seed ${trial.seed}, ${stage}\n${text.split("\n").slice(0, 6).join("\n")}`,
    );
    if (out !== undefined) writeFileSync(join(out, name), mutate(trial.bytes, trial.seed));
  });
  if (found.size > 0) process.exitCode = 1;
}

function fixtures(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".onnx"))
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).size < largest)
    .sort();
}
