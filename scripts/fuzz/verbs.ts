/** Damages files that verbs read between compiling and using what was trained, and runs a verb on each. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { main } from "../../src/cli/program.ts";
import { Terminal } from "../../src/cli/terminal.ts";
import { Random } from "../../src/data/random.ts";

const root = mkdtempSync(join(tmpdir(), "fuzz-verbs-"));
const whole = join(root, "whole");
const damaged = join(root, "damaged");
process.on("exit", () => rmSync(root, { recursive: true, force: true }));

const artifactFiles = [
  "a/manifest.json",
  "a/manifest.json",
  "a/state.safetensors",
  "a/latest",
  "a/checkpoints/step-2/state.safetensors",
  "a/checkpoints/step-2/trainer.json",
  "a/metrics.jsonl",
  "model.onnx",
  "weights.safetensors",
];
const adapterFiles = ["adapter/adapter_config.json", "adapter/adapter_model.safetensors"];

const data = "--data random --seq 5 --batch 2 --threads 1";
const evaluated = "--untrained --threads 1";

/** Command lines by what they read; `@` is the folder. */
const lines: readonly (readonly [files: readonly string[], line: string])[] = [
  [artifactFiles, `train @/a ${data} --steps 3 --resume`],
  [artifactFiles, `train @/a ${data} --steps 1 --out @/again`],
  [artifactFiles, `evaluate @/a ${data}`],
  [artifactFiles, "merge @/a -o @/merged.onnx"],
  [artifactFiles, "export @/a --format peft -o @/out"],
  [artifactFiles, "export @/a --format onnx -o @/out.onnx"],
  [artifactFiles, "export @/a --format onnx-adapter -o @/out.onnx"],
  [
    artifactFiles,
    "generate @/a --prompt ab --max-new-tokens 2 --tokenizer fixtures/tokenizers/bytelevel/tokenizer.json",
  ],
  [artifactFiles, `generate @/a --prompt ab --max-new-tokens 2 ${evaluated}`],
  [artifactFiles, "analyze memory @/a"],
  [artifactFiles, "analyze params @/a"],
  [adapterFiles, "attach @/model.onnx --adapter one=@/adapter --adapter two=@/other -o @/out.onnx"],
  [adapterFiles, "combine --adapter @/adapter:1 --adapter @/other:0.5 --type linear -o @/sum"],
  [adapterFiles, "combine --adapter @/adapter:1 --adapter @/other:0.5 --type cat -o @/sum"],
  [adapterFiles, "combine --adapter @/adapter:1 --adapter @/other:0.5 --type svd -o @/sum"],
  [adapterFiles, "compile @/model.onnx --adapter @/adapter -o @/b"],
];

let made: Promise<void> | undefined;

/** One damaged file and one verb, by the seed: `ok` or the exit code, and for a bug what was said. */
export async function tryVerb(seed: number): Promise<{ readonly stage: string; readonly result: string }> {
  made ??= makeWhole();
  await made;
  const random = new Random(seed, 3);
  const [files = [], line = ""] = lines[random.below(lines.length)] ?? [];
  const file = files[random.below(files.length)] ?? "";
  rmSync(damaged, { recursive: true, force: true });
  cpSync(whole, damaged, { recursive: true });
  const path = join(damaged, file);
  writeFileSync(path, damage(readFileSync(path), file.endsWith(".json") && random.below(2) === 0, random));
  const { code, said } = await run(line.replaceAll("@", damaged));
  const stage = `${line.split(" ")[0]} with ${file.replace(/^.*\//, "")}`;
  if (code === 70) return { stage, result: `bug: ${said.replaceAll(damaged, "@")}` };
  return { stage, result: code === 0 ? "ok" : `exit ${code}` };
}

/** A small model, trained for two steps, with what is exported of it. */
async function makeWhole(): Promise<void> {
  mkdirSync(whole);
  for (const name of ["model.onnx", "weights.safetensors"])
    cpSync(`fixtures/oracles/models/llama/${name}`, join(whole, name));
  for (const line of [
    "compile @/model.onnx --method lora --r 2 --target q_proj,v_proj -o @/a",
    `train @/a ${data} --steps 2 --save-every 1`,
    "export @/a --format peft -o @/adapter",
    "export @/a --format peft -o @/other",
  ]) {
    const { code, said } = await run(line.replaceAll("@", whole));
    if (code !== 0) throw new Error(`${line} ends with ${code}: ${said}`);
  }
}

async function run(line: string): Promise<{ readonly code: number; readonly said: string }> {
  let said = "";
  const keep = {
    write: (text: string): void => {
      said += text;
    },
  };
  const code = await main(
    [...line.split(" "), "--verbose"],
    new Terminal({ stdout: keep, stderr: keep, env: {} }),
  );
  return { code, said };
}

function damage(bytes: Uint8Array, isJson: boolean, random: Random): Uint8Array {
  if (isJson)
    return new TextEncoder().encode(
      JSON.stringify(damageJson(JSON.parse(new TextDecoder().decode(bytes)), random)),
    );
  const copy = Uint8Array.from(bytes);
  // Headers say more than what follows them.
  const reach = random.below(3) === 0 ? copy.length : Math.min(copy.length, 2000);
  for (let count = 1 + random.below(4); count > 0; count--) copy[random.below(reach)] = random.below(256);
  const cut = random.below(8);
  if (cut === 0) return copy.subarray(0, random.below(copy.length));
  return cut === 1 ? Uint8Array.from([...copy, ...copy.subarray(0, random.below(64))]) : copy;
}

const leaves: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  0.5,
  2 ** 31,
  2 ** 53,
  1e300,
  "",
  "x",
  "../x",
  "/etc/passwd",
  "\u0000",
  "float32",
  "constructor",
  "__proto__",
  [],
  {},
  [1, 2],
  "a".repeat(5000),
];

/** One value somewhere replaced, left out or repeated. */
function damageJson(value: unknown, random: Random): unknown {
  const leaf = leaves[random.below(leaves.length)];
  if (typeof value !== "object" || value === null || random.below(12) === 0) return leaf;
  if (Array.isArray(value)) {
    if (value.length === 0) return [leaf];
    const at = random.below(value.length);
    const kind = random.below(6);
    if (kind === 0) return value.toSpliced(at, 1);
    return kind === 1 ? value.toSpliced(at, 0, value[at]) : value.with(at, damageJson(value[at], random));
  }
  const entries: [string, unknown][] = Object.entries(value);
  const at = random.below(entries.length + 1);
  const [key, child] = entries[at] ?? ["added", leaf];
  if (random.below(6) === 0) return Object.fromEntries(entries.toSpliced(at, 1));
  return Object.fromEntries([...entries, [key, damageJson(child, random)]]);
}
