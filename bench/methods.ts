/**
 * Trains every method on stories260k with an equal budget, by the command line: `npm run bench:methods` writes docs/comparison.json,
 * and of it docs/comparison.md and docs/comparison.svg, held-out loss against trained parameters. With names behind it, or files of methods
 * from outside the package, only those are trained, and the rows of the others stay.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { z } from "zod";
import { adapters } from "../passes/adapters/index.ts";
import type { Adapter } from "../src/adapt/define.ts";
import { findAdapter } from "../src/adapt/registry.ts";
import { usePlugIns } from "../src/cli/plug-ins.ts";
import { comparisonChart } from "./comparison-chart.ts";
import { comparisonPage, type Row, rowsSchema } from "./comparison-page.ts";

const model = "fixtures/models/stories260k/model.onnx";
const attention = "q_proj,k_proj,v_proj,o_proj";
const length = ["--max-length", "32", "--threads", "1"];
const budget = ["--steps", "100", "--batch", "4", "--seed", "0"];
const results = "docs/comparison.json";

/** What a method needs on so small a model, or its learning rate where 1e-2 is not sensible for it. */
interface Setting {
  readonly lr?: number;
  readonly flags?: readonly string[];
}

const settings: Readonly<Record<string, Setting>> = {
  c3a: { flags: ["--block-size", "32"] },
  "ln-tuning": { flags: ["--target", "input_layernorm,post_attention_layernorm,norm"] },
  randlora: { lr: 1e-3 },
  road: { flags: ["--group-size", "32"] },
  shira: { flags: ["--r", "4"] },
  "trainable-tokens": { flags: ["--token-indices", Array.from({ length: 256 }, (_, i) => i).join()] },
  vblora: { flags: ["--vector-length", "32"] },
  waveft: { flags: ["--n-frequency", "512"] },
};

const compiledReply = z.looseObject({ trainable: z.number() });
const metricsReply = z.looseObject({ metrics: z.looseObject({ loss: z.number() }) });

const only = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "peft-compile-methods-"));
try {
  const files = splitCorpus(folder);
  const rows = new Map(readRows().map((row) => [row.method, row]));
  for (const { method, file } of await chosenMethods()) {
    const row = attempt(method, file, files);
    if (row === undefined) continue;
    rows.set(method.name, row);
    const known = [...rows.values()].sort((a, b) => (a.method < b.method ? -1 : 1));
    writeFileSync(results, `${JSON.stringify(known, null, 1)}\n`);
    writeFileSync("docs/comparison.md", comparisonPage(known));
    writeFileSync("docs/comparison.svg", comparisonChart(known));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

interface Chosen {
  readonly method: Adapter;
  /** Of a method from outside the package. */
  readonly file?: string;
}

async function chosenMethods(): Promise<Chosen[]> {
  const paths = only.filter((name) => /\.[cm]?[jt]s$/.test(name));
  await usePlugIns(paths);
  const own = paths.flatMap((file) => {
    const method = findAdapter(basename(file).replace(/\.[^.]*$/, ""), []);
    return method === undefined ? [] : [{ method, file }];
  });
  const named = adapters.filter(({ name }) => only.length === 0 || only.includes(name));
  return [...named.map((method) => ({ method })), ...own];
}

/** Trains a method and says how it went; nothing where a command failed. */
function attempt(method: Adapter, file: string | undefined, files: Corpus): Row | undefined {
  try {
    const row = trainOne(method, file, folder, files);
    const { trained, before, after } = row;
    console.log(
      `${method.name.padEnd(26)}${String(trained).padStart(8)}  ${before.toFixed(3)} -> ${after.toFixed(3)}`,
    );
    if (after < before) return row;
    console.error(`${method.name} does not lower the held-out loss`);
    process.exitCode = 1;
    return row;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 1;
    return undefined;
  }
}

interface Corpus {
  readonly trainFile: string;
  readonly heldOut: string;
}

function readRows(): Row[] {
  return existsSync(results) ? rowsSchema.parse(JSON.parse(readFileSync(results, "utf8"))) : [];
}

/** The first nine tenths to train on, and some of the rest. */
function splitCorpus(into: string): Corpus {
  const corpus = readFileSync("fixtures/data/tinyshakespeare/input.txt", "utf8");
  const cut = Math.floor(corpus.length * 0.9);
  const [trainFile, heldOut] = [join(into, "train.txt"), join(into, "held-out.txt")];
  writeFileSync(trainFile, corpus.slice(0, cut));
  writeFileSync(heldOut, corpus.slice(cut, cut + 6_000));
  return { trainFile, heldOut };
}

function trainOne(
  method: Adapter,
  file: string | undefined,
  into: string,
  { trainFile, heldOut }: Corpus,
): Row {
  const { name, summary } = method;
  const { lr = 1e-2, flags = [] } = settings[name] ?? {};
  const artifact = join(into, name);
  const chooses = method.sites.includes("linear") && "target_modules" in method.options.shape;
  const targets =
    chooses && !flags.includes("--token-indices") && !flags.includes("--target")
      ? ["--target", attention]
      : [];
  const compiled = command(compiledReply, [
    ...["compile", model],
    ...(file === undefined ? [] : ["--use", file]),
    ...["--method", name, ...targets, ...flags],
    ...["--optimizer", `adamw{lr=${lr}}`, "-o", artifact],
  ]);
  const before = command(metricsReply, ["evaluate", artifact, "--data", heldOut, ...length]);
  const after = command(metricsReply, [
    ...["train", artifact, "--data", trainFile, "--eval-data", heldOut],
    ...[...budget, ...length],
  ]);
  rmSync(artifact, { recursive: true });
  return {
    method: name,
    summary,
    trained: compiled.trainable,
    lr,
    flags: flags.filter((flag) => flag.length < 40),
    before: before.metrics.loss,
    after: after.metrics.loss,
  };
}

/** Runs a command and reads its JSON. */
function command<S extends z.ZodType>(reply: S, args: readonly string[]): z.output<S> {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["dist/src/cli.js", ...args, "--json"], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  if (status !== 0) throw new Error(`peft-compile ${args.join(" ")}\n${stderr}${stdout.slice(0, 2000)}`);
  return reply.parse(JSON.parse(stdout));
}
