/**
 * Fuzzes the compiler: damaged copies of real files and random programs must give a model or a diagnostic, soon, within
 * bounded memory.
 *
 *   npm run fuzz -- [--minutes 1] [--seed 0] [--edges STEP | --verbs] [--out FOLDER] [FILE.onnx ...]
 *
 * Odd seeds damage one file after the other, even ones are random programs. With --edges, every STEP-th number of each file is set to
 * its edges instead, from that of the seed on; with --verbs a verb runs on a damaged file of an artifact or adapter. With --out, models that
 * found something are written to the folder.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { bytesOf, type Trial } from "./trial.ts";
import type { Ending, Outcome } from "./worker.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: "0" },
    edges: { type: "string" },
    verbs: { type: "boolean", default: false },
    out: { type: "string" },
  },
});

/** Longest time that one stage may take, heap that it may use, and memory beside four times the model's own size. */
const limits = { ms: 10_000, heapMb: 400, bytes: 200 * 2 ** 20 };
/** Files above this size are left out unless they are named. */
const largest = 400_000;

const files = positionals.length > 0 ? positionals : fixtures("fixtures");
const found = new Map<string, { count: number; trial: Trial; stage: string; text: string }>();
const endings = new Map<string, number>();
const start = Date.now();
const end = start + 60_000 * Number(values.minutes);

/** Most memory that the worker held before this trial. */
let peak: number | undefined;
let worker = await startWorker();
let seed = Number(values.seed);
const firstSeed = seed;
if (values.verbs) for (; Date.now() < end; seed++) await tryOne({ seed, verb: true });
else if (values.edges === undefined) await tryDamaged();
else await tryEdges(Number(values.edges));
worker.kill();
report();

async function tryDamaged(): Promise<void> {
  for (; Date.now() < end; seed++) {
    const file = files[(seed >> 1) % files.length];
    await tryOne(seed % 2 === 0 || file === undefined ? { seed } : { file, seed });
  }
}

async function tryEdges(step: number): Promise<void> {
  for (const file of files)
    for (let edit = firstSeed; Date.now() < end; edit += step, seed++)
      if (!(await tryOne({ file, seed: edit, edge: true }))) break;
}

async function startWorker(): Promise<ChildProcess> {
  peak = undefined;
  const started = fork(new URL("./worker.ts", import.meta.url), {
    execArgv: ["--import", "tsx", `--max-old-space-size=${limits.heapMb}`],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  await once(started, "message");
  return started;
}

/** Processor time of the worker in ms: on a busy machine it may wait longer than it works. Undefined where it is not told. */
function workedMs(): number | undefined {
  try {
    const fields = readFileSync(`/proc/${worker.pid}/stat`, "latin1").split(") ").at(-1)?.split(" ") ?? [];
    return 10 * (Number(fields[11]) + Number(fields[12]));
  } catch {
    return undefined;
  }
}

/** Waits for every stage of a trial; a stage that hangs or dies ends it, and the worker with it. Gives whether there was one. */
async function tryOne(trial: Trial): Promise<boolean> {
  let stage = "start";
  let exists = true;
  const problem = await new Promise<string | undefined>((resolve) => {
    let timer: NodeJS.Timeout;
    const watch = (before = workedMs() ?? 0): void => {
      timer = setTimeout(() => {
        if ((workedMs() ?? Number.POSITIVE_INFINITY) - before >= limits.ms) resolve("hang");
        else watch(before);
      }, limits.ms);
    };
    watch();
    worker.on("message", (outcome: Outcome | Ending) => {
      clearTimeout(timer);
      if ("peakBytes" in outcome) {
        exists = outcome.modelBytes > 0;
        return resolve(tooMuch(outcome));
      }
      watch();
      stage = outcome.stage;
      const ending = outcome.result.startsWith("bug: ") ? "bug" : outcome.result;
      endings.set(`${stage} ${ending}`, (endings.get(`${stage} ${ending}`) ?? 0) + 1);
      if (ending === "bug") note(trial, stage, outcome.result);
    });
    worker.on("exit", (code, signal) => {
      clearTimeout(timer);
      resolve(`died of ${signal ?? code}`);
    });
    worker.send(trial);
  });
  worker.removeAllListeners("message");
  worker.removeAllListeners("exit");
  if (problem === undefined) return exists;
  note(trial, `after ${stage}`, problem);
  worker.kill("SIGKILL");
  worker = await startWorker();
  return true;
}

/** The peak of a process never falls, so that a trial is at fault only for what it added; the first of a worker loads it. */
function tooMuch({ peakBytes, modelBytes }: Ending): string | undefined {
  const grown = peakBytes - (peak ?? peakBytes);
  peak = peakBytes;
  return grown > 4 * modelBytes + limits.bytes ? `memory: ${Math.round(grown / 2 ** 20)} MiB` : undefined;
}

/** Failures of one cause are told apart by stage, message without numbers, and innermost place. */
function note(trial: Trial, stage: string, text: string): void {
  const [first = "", ...stack] = text.split("\n");
  const place = stack.find((line) => /src\/|passes\//.test(line))?.trim() ?? "";
  const key = `${first.replace(/"[^"]*"|\d+/g, "_")} ${place}`;
  const known = found.get(key);
  if (known !== undefined) {
    known.count++;
    return;
  }
  found.set(key, { count: 1, trial, stage, text });
  console.error(`${originOf(trial)}, seed ${trial.seed}, ${stage}: ${first} ${place}`);
}

function report(): void {
  for (const [ending, count] of [...endings].sort((a, b) => b[1] - a[1]))
    console.log(String(count).padStart(8), ending);
  const minutes = ((Date.now() - start) / 60_000).toFixed(1);
  console.log(`seeds ${firstSeed} to ${seed - 1} in ${minutes} minutes, ${found.size} kinds of failures`);
  const { out } = values;
  if (out !== undefined) mkdirSync(out, { recursive: true });
  const all = [...found.values()].sort((a, b) => b.count - a.count);
  all.forEach(({ count, trial, stage, text }, index) => {
    const name = `${String(index).padStart(3, "0")}.onnx`;
    const origin = originOf(trial);
    console.log(`\n${name} x ${count}: ${origin}, seed ${trial.seed}, ${stage}`);
    console.log(text.split("\n").slice(0, 8).join("\n"));
    if (out !== undefined && trial.verb !== true) writeFileSync(join(out, name), bytesOf(trial) ?? "");
  });
  if (found.size > 0) process.exitCode = 1;
}

function originOf({ file, verb }: Trial): string {
  return verb === true ? "a verb" : (file ?? "a random program");
}

function fixtures(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".onnx"))
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).size < largest)
    .sort();
}
