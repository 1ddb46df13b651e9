/** Adapters of different scalings, swapped on the model that `export --format onnx-adapter` writes of one of them. */
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { attachAdapters } from "../../src/compile/attach.ts";
import { readPeftFolder } from "../../src/compile/peft-folder.ts";
import type { Model } from "../../src/ir/model.ts";
import type { Value } from "../../src/ir/value.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromTensor, type NDArray } from "../../src/ops/ndarray.ts";
import { readOnnxAdapter } from "../harness/onnx-adapter.ts";
import { runModel } from "../harness/runtime.ts";
import { expectClose, tolerances } from "../oracle/close.ts";
import { oracleRoot, readArrays } from "../oracle/oracle-set.ts";
import { runCli } from "./run-cli.ts";

const root = mkdtempSync(join(tmpdir(), "swap-"));
afterAll(() => rmSync(root, { recursive: true }));
const path = (name: string): string => join(root, name);
const folderOf = (name: string): string => join(oracleRoot, "cases", "llama", "lora-weighted", name);
const names = ["first", "second"] as const;

/** ONNX Runtime in Node leaves inputs with defaults alone, whatever it is fed: here they have none, and the defaults are fed. */
class Swappable {
  readonly #model: Model;
  readonly #defaults = new Map<Value, NDArray>();

  constructor(file: string) {
    this.#model = readModel(file);
    for (const input of this.#model.graph.inputs) {
      if (input.initializer !== undefined) this.#defaults.set(input, fromTensor(input.initializer));
      input.initializer = undefined;
    }
  }

  /** Logits with the tensors of a file, or with the defaults. */
  async logits(tensors: ReadonlyMap<string, NDArray> = new Map()): Promise<NDArray> {
    const feeds = new Map(this.#defaults);
    for (const input of this.#model.graph.inputs) {
      const array = tensors.get(input.name) ?? io.get(`batch0.${input.name}`);
      if (array !== undefined) feeds.set(input, array);
    }
    const [result] = await runModel(this.#model, feeds);
    if (result === undefined) throw new Error("no logits");
    return result;
  }
}

const io = readArrays(join(oracleRoot, "models", "llama", "io.safetensors"));

async function logitsOf(model: Model): Promise<NDArray> {
  const feeds = new Map(
    model.graph.inputs.flatMap((input) => {
      const array = io.get(`batch0.${input.name}`);
      return array === undefined ? [] : [[input, array] as const];
    }),
  );
  const [result] = await runModel(model, feeds);
  if (result === undefined) throw new Error("no logits");
  return result;
}

async function exported(name: string, ...compileOptions: readonly string[]): Promise<string> {
  const [folder, model] = [path(`${name}.peft`), path(`${name}.onnx`)];
  const compiled = await runCli(["compile", path("llama.onnx"), ...compileOptions, "-o", folder]);
  expect(compiled.code).toBe(0);
  const written = await runCli(["export", folder, "--format", "onnx-adapter", "-o", model]);
  expect(written.code).toBe(0);
  return model;
}

const adapterOf = (model: string): ReturnType<typeof readOnnxAdapter> =>
  readOnnxAdapter(model.replace(/onnx$/, "onnx_adapter"));

beforeAll(() => {
  copyFileSync(join(oracleRoot, "models", "llama", "model.onnx"), path("llama.onnx"));
});

it("adapters of different lora_alpha swap on one model", async () => {
  const alphas = names.map((name) => readPeftFolder(folderOf(name)).options.lora_alpha);
  expect(new Set(alphas).size).toBe(2);
  const [first, second] = [
    await exported("first", "--adapter", folderOf("first")),
    await exported("second", "--adapter", folderOf("second")),
  ];
  const files = { first: adapterOf(first), second: adapterOf(second) };
  expect(files.first.modelVersion).toBe(files.second.modelVersion);
  expect(readModel(first).metadata.get("peft-compile.model_version")).toBe(String(files.first.modelVersion));
  const source = readModel(path("llama.onnx"));
  for (const model of [new Swappable(first), new Swappable(second)]) {
    // Back and forth, and without any.
    for (const name of [...names, ...names]) {
      const wanted = attachAdapters(source, [{ name, folder: folderOf(name) }], { active: [name] });
      expectClose(name, await model.logits(files[name].parameters), await logitsOf(wanted), tolerances.exact);
      expectClose("none", await model.logits(), await logitsOf(source), tolerances.exact);
    }
  }
});

it("files that need another model say so", async () => {
  const versions: number[] = [];
  for (const alpha of ["8", "8", "16"]) {
    const options = ["--method", "loha", "--target", "q_proj", "--r", "4", "--alpha", alpha];
    versions.push(adapterOf(await exported(`loha-${versions.length}`, ...options)).modelVersion);
  }
  const [one, same, other] = versions;
  expect(same).toBe(one);
  expect(other).not.toBe(one);
});
