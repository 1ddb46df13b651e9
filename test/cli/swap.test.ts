/** Two adapters brought to one scaling, whose tensors are swapped on the model that `export --format onnx-adapter` writes. */
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { attachAdapters } from "../../src/compile/attach.ts";
import { readPeftFolder } from "../../src/compile/peft-folder.ts";
import type { Model } from "../../src/ir/model.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import type { Value } from "../../src/ir/value.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromTensor, type NDArray } from "../../src/ops/ndarray.ts";
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

  /** Logits with the tensors of a folder, or with the defaults. */
  async logits(folder?: string): Promise<NDArray> {
    const tensors: ReadonlyMap<string, Tensor> =
      folder === undefined ? new Map() : readPeftFolder(folder).tensors;
    const feeds = new Map(this.#defaults);
    for (const input of this.#model.graph.inputs) {
      const tensor = tensors.get(input.name);
      const array = tensor === undefined ? io.get(`batch0.${input.name}`) : fromTensor(tensor);
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

it("adapters of different lora_alpha swap on one model once combine gave them one scaling", async () => {
  copyFileSync(join(oracleRoot, "models", "llama", "model.onnx"), path("llama.onnx"));
  const alphas = names.map((name) => readPeftFolder(folderOf(name)).options.lora_alpha);
  expect(new Set(alphas).size).toBe(2);
  for (const name of names) {
    const out = ["--type", "cat", "-o", path(name)];
    expect((await runCli(["combine", "--adapter", folderOf(name), ...out])).code).toBe(0);
  }
  const compiled = await runCli([
    "compile",
    path("llama.onnx"),
    "--adapter",
    path("first"),
    "-o",
    path("a.peft"),
  ]);
  expect(compiled.code).toBe(0);
  const exported = await runCli([
    "export",
    path("a.peft"),
    "--format",
    "onnx-adapter",
    "-o",
    path("base.onnx"),
  ]);
  expect(exported.code).toBe(0);
  const model = new Swappable(path("base.onnx"));
  const source = readModel(path("llama.onnx"));
  // Back and forth, and without any.
  for (const name of [...names, ...names]) {
    const wanted = attachAdapters(source, [{ name, folder: folderOf(name) }], { active: [name] });
    expectClose(name, await model.logits(path(name)), await logitsOf(wanted), tolerances.exact);
    expectClose("none", await model.logits(), await logitsOf(source), tolerances.exact);
  }
});
