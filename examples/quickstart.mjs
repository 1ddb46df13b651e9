// Trains a LoRA adapter on a real small Llama with Tiny Shakespeare, from an ONNX file to a merged ONNX file.
// Every step is a command that you can type yourself; the merged model is then compared with the adapted one.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { InferenceSession, Tensor } from "onnxruntime-node";

const usage = "usage: npm run quickstart -- [--steps 300] [--seed 0] [--r 16] [--lr 1e-2] [--keep FOLDER]";
const options = readOptions();

const root = fileURLToPath(new URL("..", import.meta.url));
const cli = join(root, "dist/src/cli.js");
const model = join(root, "fixtures/models/stories260k/model.onnx");
const corpus = readFileSync(join(root, "fixtures/data/tinyshakespeare/input.txt"), "utf8");
if (!existsSync(cli)) throw new Error("the package is not built: run `npm run build` first");

const folder = options.keep ?? mkdtempSync(join(tmpdir(), "peft-compile-quickstart-"));
mkdirSync(folder, { recursive: true });
if (options.keep === undefined) process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const artifact = join(folder, "stories260k.peft");
const trainFile = join(folder, "train.txt");
const heldOutFile = join(folder, "held-out.txt");
const merged = join(folder, "merged.onnx");

// The last tenth of the characters is held out.
const cut = Math.floor(corpus.length * 0.9);
writeFileSync(trainFile, corpus.slice(0, cut));
writeFileSync(heldOutFile, corpus.slice(cut));

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        help: { type: "boolean", short: "h" },
        steps: { type: "string", default: "300" },
        seed: { type: "string", default: "0" },
        r: { type: "string", default: "16" },
        lr: { type: "string", default: "1e-2" },
        keep: { type: "string" },
      },
    });
    if (!values.help) return values;
    console.log(usage);
    process.exit(0);
  } catch (error) {
    console.error(`${error.message}\n${usage}`);
    process.exit(2);
  }
}

/** Runs a command of ours, showing its progress, and gives the document that it prints. */
function run(...args) {
  const shown = args.map((arg) => quote(arg.replaceAll(root, "").replaceAll(folder, ".")));
  console.log(`\n$ peft-compile ${shown.join(" ")}`);
  const { status, stdout } = spawnSync(process.execPath, [cli, ...args, "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 1 << 28,
  });
  if (status !== 0) {
    console.error(stdout.toString());
    process.exit(status ?? 1);
  }
  return JSON.parse(stdout.toString());
}

const evaluate = () =>
  run("evaluate", artifact, "--data", heldOutFile, "--max-length", "256", "--batch", "6").metrics.loss;
const sample = (...more) =>
  run("generate", artifact, "--prompt", "ROMEO:", "--max-new-tokens", "60", ...more).text;

const started = performance.now();
const compiled = run(
  ...["compile", model, "-o", artifact, "--force", "--seed", options.seed],
  ...["--method", "lora", "--r", options.r, "--lora-alpha", "16", "--target", "all-linear"],
  ...["--optimizer", `adamw{lr=${options.lr} weight_decay=0.01}`],
  ...["--schedule", "cosine{warmup=20}", "--clip", "1"],
);
const before = { loss: evaluate(), text: sample("--untrained") };

const trainingStarted = performance.now();
run(
  ...["train", artifact, "--data", trainFile, "--max-length", "256"],
  ...["--batch", "8", "--steps", options.steps, "--seed", options.seed],
);
const seconds = (performance.now() - trainingStarted) / 1000;
const after = { loss: evaluate(), text: sample() };
run("merge", artifact, "-o", merged);

const difference = await largestDifference();
const { trainable, parameters } = JSON.parse(readFileSync(join(artifact, "manifest.json"), "utf8"));
const share = ((100 * trainable) / (trainable + parameters)).toFixed(1);
console.log(`
before   ${oneLine(before.text)}
after    ${oneLine(after.text)}

adapted  ${compiled.sites.length} modules with LoRA of rank ${options.r}: ${trainable} trained values beside ${parameters} frozen ones (${share} %)
trained  ${options.steps} steps of 8 x 256 tokens in ${seconds.toFixed(0)} s, ${((seconds * 1000) / Number(options.steps)).toFixed(0)} ms a step with reading and saving
merged   logits differ from the adapted model's by at most ${difference.toExponential(1)}
in all   ${((performance.now() - started) / 1000).toFixed(0)} s

held-out ${before.loss.toFixed(2)} -> ${after.loss.toFixed(2)} nats per token`);

if (difference > 1e-4) {
  console.error("the merged model does not give the adapted model's logits");
  process.exit(1);
}

/** Merged against adapted logits on 256 ids that cover the vocabulary. */
async function largestDifference() {
  const { Trainer } = await import("../dist/src/index.js");
  const ids = BigInt64Array.from({ length: 256 }, (_, i) => BigInt((i * 37) % 512));
  const ones = new BigInt64Array(256).fill(1n);
  const shape = [1, 256];
  const trainer = await Trainer.open(artifact);
  const adapted = await trainer.evaluate({
    input_ids: { dtype: "int64", shape, data: ids },
    attention_mask: { dtype: "int64", shape, data: ones },
    labels: { dtype: "int64", shape, data: ids },
  });
  await trainer.close();
  const session = await InferenceSession.create(merged);
  const outputs = await session.run({
    input_ids: new Tensor("int64", ids, shape),
    attention_mask: new Tensor("int64", ones, shape),
  });
  await session.release();
  return adapted.logits.data.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - outputs.logits.data[i])),
    0,
  );
}

/** An argument as a shell reads it. */
function quote(arg) {
  return /^[\w./=,-]+$/.test(arg) ? arg : JSON.stringify(arg);
}

function oneLine(text) {
  return JSON.stringify(text.slice(0, 150)).slice(1, -1);
}
