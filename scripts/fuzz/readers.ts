/**
 * Fuzzes what reads files beside models: damaged copies must give a value or a diagnostic, soon.
 *
 *   npx tsx scripts/fuzz/readers.ts [--minutes 1] [--seed 0]
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readPeftFolder } from "../../src/compile/peft-folder.ts";
import { Random } from "../../src/data/random.ts";
import { readTable } from "../../src/data/table.ts";
import { Tokenizer } from "../../src/data/tokenizer.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { decodeNpy } from "../../src/formats/npy.ts";
import { NpzReader } from "../../src/formats/npz.ts";
import { decodeSafetensors } from "../../src/formats/safetensors.ts";
import { SafetensorsFile } from "../../src/formats/safetensors-file.ts";
import { parseModel } from "../../src/text/parse.ts";

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "1" }, seed: { type: "string", default: "0" } },
});

const folder = mkdtempSync(join(tmpdir(), "fuzz-"));
const put = (name: string, bytes: Uint8Array | string): string => {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
};

/** A file as it is, and what reads a damaged copy of it. */
interface Reader {
  readonly original: Uint8Array;
  readonly read: (bytes: Uint8Array) => void;
}

const file = (path: string): Uint8Array => Uint8Array.from(readFileSync(join("fixtures", path)));
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const loraFolder = "oracles/cases/smallconv/lora-save";

function readTensors(bytes: Uint8Array): void {
  const reader = decodeSafetensors(bytes);
  for (const name of reader.names) reader.bytes(name);
  const opened = SafetensorsFile.open(put("a.safetensors", bytes));
  for (const name of opened.names) opened.bytes(name);
}

function tableReader(name: string, text: string): Reader {
  return { original: bytesOf(text), read: (bytes) => void readTable(put(name, bytes)) };
}

function tokenizerReader(path: string): Reader {
  return {
    original: file(path),
    read: (bytes) => {
      const tokenizer = Tokenizer.open(put("tokenizer.json", bytes));
      tokenizer.encode("Some text, with words.", { maxLength: 8 });
    },
  };
}

const readers: Readonly<Record<string, Reader>> = {
  safetensors: { original: file("formats/plain.safetensors"), read: readTensors },
  "safetensors of all types": { original: file("formats/dtypes.safetensors"), read: readTensors },
  npy: { original: file("formats/f4.npy"), read: (bytes) => void decodeNpy(bytes) },
  "npy in Fortran order": { original: file("formats/fortran.npy"), read: (bytes) => void decodeNpy(bytes) },
  npz: {
    original: file("formats/deflated.npz"),
    read: (bytes) => {
      const reader = new NpzReader(bytes, "a.npz");
      for (const name of reader.names) reader.array(name);
    },
  },
  "adapter_config.json": {
    original: file(`${loraFolder}/adapter_config.json`),
    read: (bytes) => {
      put("adapter_model.safetensors", file(`${loraFolder}/adapter_model.safetensors`));
      put("adapter_config.json", bytes);
      readPeftFolder(folder);
    },
  },
  "adapter_model.safetensors": {
    original: file(`${loraFolder}/adapter_model.safetensors`),
    read: (bytes) => {
      put("adapter_config.json", file(`${loraFolder}/adapter_config.json`));
      put("adapter_model.safetensors", bytes);
      for (const tensor of readPeftFolder(folder).tensors.values()) tensor.bytes();
    },
  },
  "tokenizer.json (bytes)": tokenizerReader("tokenizers/bytelevel/tokenizer.json"),
  "tokenizer.json (words)": tokenizerReader("tokenizers/wordpiece/tokenizer.json"),
  csv: tableReader("a.csv", 'text,label\n"one, two",0\n"three ""four""",1\nfive,2\n'),
  tsv: tableReader("a.tsv", "text\tlabel\none\t0\ntwo\t1\n"),
  jsonl: tableReader("a.jsonl", '{"text": "one", "label": 0}\n{"text": "two", "label": [1, 2]}\n'),
  "ONNX text": {
    original: bytesOf(
      '<ir_version: 10, opset_import: ["" : 20]>\nf (float[n, 2] x) => (float y) <float[2] w = {1, 2}>\n' +
        "{ a = Add (x, w)\n y = Softmax <axis = -1> (a) }\n",
    ),
    read: (bytes) => void parseModel(new TextDecoder().decode(bytes)),
  },
};

/** Characters that formats give a meaning. */
const marks = [...'{}[]()",:\\\n\t#0-9.e'].map((mark) => mark.charCodeAt(0));

function damage(original: Uint8Array, random: Random): Uint8Array {
  const copy = Uint8Array.from(original);
  for (let count = 1 + random.below(4); count > 0; count--) {
    const at = random.below(copy.length);
    const kind = random.below(4);
    if (kind === 0) copy[at] = random.below(256);
    else if (kind === 1) copy[at] = marks[random.below(marks.length)] ?? 0;
    else if (kind === 2) copy.copyWithin(at, random.below(copy.length), random.below(copy.length));
    else copy.fill(0xff, at, at + 1 + random.below(8));
  }
  return random.below(8) === 0 ? copy.subarray(0, random.below(copy.length)) : copy;
}

const end = Date.now() + 60_000 * Number(values.minutes);
const found = new Map<string, string>();
const endings = new Map<string, number>();
let seed = Number(values.seed);
for (; Date.now() < end; seed++) {
  const all = Object.entries(readers);
  const [name, reader] = all[seed % all.length] ?? [];
  if (name === undefined || reader === undefined) break;
  const start = process.cpuUsage();
  let ending = "ok";
  try {
    reader.read(damage(reader.original, new Random(seed, 2)));
  } catch (error) {
    ending = error instanceof DiagnosticError ? error.code : "bug";
    if (ending === "bug") note(`${name}: ${error instanceof Error ? error.stack : String(error)}`);
  }
  if (process.cpuUsage(start).user > 10_000_000) note(`${name}: takes more than ten seconds`);
  endings.set(`${name} ${ending}`, (endings.get(`${name} ${ending}`) ?? 0) + 1);
}
rmSync(folder, { recursive: true });
for (const [ending, count] of [...endings].sort()) console.log(String(count).padStart(8), ending);
console.log(`seeds ${values.seed} to ${seed - 1}, ${found.size} kinds of failures`);
for (const text of found.values()) console.log(`\n${text}`);
if (found.size > 0) process.exitCode = 1;

function note(text: string): void {
  const [first = "", ...stack] = text.split("\n");
  const key = `${first.replace(/"[^"]*"|\d+/g, "_")} ${stack.find((line) => line.includes("src/")) ?? ""}`;
  if (!found.has(key)) found.set(key, `seed ${seed}, ${text.split("\n").slice(0, 6).join("\n")}`);
}
