/** The artifact on disk: a manifest that says what is there, graphs that point at the user's weights, nothing overwritten. */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { InferenceSession } from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Manifest, manifestSchema } from "../../src/artifact/manifest.ts";
import type { Compiled } from "../../src/compile/compile.ts";
import { compileGraphs } from "../../src/compile/compile.ts";
import { mergeTrained, openTrained } from "../../src/compile/trained.ts";
import { writeArtifact } from "../../src/compile/write-artifact.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { SafetensorsFile } from "../../src/formats/safetensors-file.ts";
import { readModel } from "../../src/onnx/read.ts";
import { encodeModel, writeModel } from "../../src/onnx/write.ts";
import { fromTensor } from "../../src/ops/ndarray.ts";
import { modelFile } from "../training/oracle-models.ts";

const root = mkdtempSync(join(tmpdir(), "peft-artifact-"));
afterAll(() => rmSync(root, { recursive: true }));
const home = join(root, "models");
const file = join(home, "llama.onnx");
let compiled: Compiled;
let before: string;

const hashOf = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");
const method = { name: "lora", options: { target_modules: ["q_proj", "v_proj"], r: 4, lora_dropout: 0.1 } };

beforeAll(() => {
  mkdirSync(home);
  copyFileSync(modelFile("llama"), file);
  before = hashOf(file);
  compiled = compileGraphs(readModel(file), { method, clip: 1, seed: 7 });
});

async function refusalOf(act: Promise<unknown>): Promise<string> {
  try {
    await act;
  } catch (error) {
    if (error instanceof DiagnosticError) return error.code;
    throw error;
  }
  return "accepted";
}

describe("by reference", () => {
  const target = join(root, "llama.peft");
  let manifest: Manifest;
  beforeAll(async () => {
    manifest = await writeArtifact(compiled, target);
  });

  it("holds what the contract lists, and no more", () => {
    expect(readdirSync(target).sort()).toEqual([
      "apply.onnx",
      "eval.onnx",
      "grad.onnx",
      "index.d.ts",
      "index.js",
      "manifest.json",
      "state.safetensors",
      "train.onnx",
    ]);
  });

  it("has the manifest that was given back, which the schema takes", () => {
    const written: unknown = JSON.parse(readFileSync(join(target, "manifest.json"), "utf8"));
    expect(manifestSchema.parse(written)).toEqual(JSON.parse(JSON.stringify(manifest)));
    expect(manifest).toMatchObject({
      format: "peft-compile/1",
      source: { model: "llama.onnx", folder: "../models", weights: "reference", opset: 17 },
      method: { name: "lora", saved: [] },
      task: { name: "causal-lm", logits: "logits" },
      optimizer: { name: "adamw", clip: 1, accumulate: 1 },
      precision: "fp32",
      seed: 7,
    });
    expect(manifest.method.sites.map(({ path }) => path)).toEqual(
      compiled.plan.sites.map(({ path }) => path),
    );
  });

  it("counts what is trained, and knows the source by size and hash", () => {
    const sizes = [...compiled.parameterKeys].map(
      (key) => compiled.state.tensors.get(key)?.size ?? Number.NaN,
    );
    expect(manifest.trainable).toBe(sizes.reduce((sum, size) => sum + size, 0));
    const [source, ...others] = manifest.source.files;
    expect(others).toEqual([]);
    expect(source).toMatchObject({ name: "llama.onnx", size: statSync(file).size });
  });

  it("describes every port of its graphs as the files have it", () => {
    for (const graph of Object.values(manifest.graphs)) {
      const model = readModel(join(target, graph.file), { folder: home });
      for (const [ports, values] of [
        [graph.inputs, model.graph.inputs],
        [graph.outputs, model.graph.outputs],
      ] as const) {
        expect(ports.map(({ name }) => name)).toEqual(values.map(({ name }) => name));
        expect(ports.map(({ dtype }) => dtype)).toEqual(values.map((value) => value.tensorType?.dtype));
        expect(ports.map(({ shape }) => shape.map(String))).toEqual(
          values.map((value) => value.tensorType?.shape?.map(String)),
        );
        expect(ports.map(({ role }) => role)).toEqual(values.map((value) => value.metadata.get("peft.role")));
      }
      const inputs = new Map(graph.inputs.map((port) => [port.name, port]));
      for (const { feeds, shape, dtype } of graph.outputs) {
        if (feeds !== undefined) expect(inputs.get(feeds)).toMatchObject({ shape, dtype });
      }
      // No default: the runtime would not let such an input be fed.
      for (const input of model.graph.inputs) expect(input.initializer, input.name).toBeUndefined();
    }
  });

  it("copies no frozen weight: what is not small lies in the user's file, at its very bytes", () => {
    const places = new Map(
      [...readModel(file).graph.initializers].flatMap(({ initializer }) =>
        initializer?.source.kind === "file" ? [[initializer.source.range.offset, initializer] as const] : [],
      ),
    );
    expect(places.size).toBeGreaterThan(10);
    for (const { file: name } of Object.values(manifest.graphs)) {
      const model = readModel(join(target, name), { folder: home });
      for (const { name: value, initializer } of model.graph.initializers) {
        if (initializer === undefined) throw new Error(`"${value}" has no data`);
        if (initializer.byteLength < 1024 || initializer.bytes().every((byte) => byte === 0)) continue;
        const { source } = initializer;
        if (source.kind !== "file") throw new Error(`"${value}" lies in the artifact`);
        expect(source.range.file).toBe(file);
        expect(source.range.offset + source.range.length).toBeLessThanOrEqual(statSync(file).size);
        const original = places.get(source.range.offset);
        expect(original?.dims).toEqual(initializer.dims);
        expect(Buffer.from(initializer.bytes()).equals(Buffer.from(original?.bytes() ?? []))).toBe(true);
      }
    }
    const frozen = readModel(file).graph.initializers.size;
    expect(readModel(join(target, "train.onnx"), { folder: home }).graph.initializers.size).toBeGreaterThan(
      frozen / 2,
    );
  });

  it("has the starting values under PEFT's keys, zeros for moments, scalars in the header", () => {
    const state = SafetensorsFile.open(join(target, "state.safetensors"));
    const keys = [...compiled.parameterKeys];
    expect([...state.names].sort()).toEqual(keys.flatMap((key) => [key, `${key}/m`, `${key}/v`]).sort());
    for (const key of keys) {
      const wanted = compiled.state.tensors.get(key);
      if (wanted === undefined) throw new Error(`no "${key}"`);
      expect(Buffer.from(state.bytes(key)).equals(Buffer.from(wanted.bytes()))).toBe(true);
      expect(state.entry(key).shape).toEqual(wanted.dims);
      for (const name of ["m", "v"])
        expect(state.bytes(`${key}/${name}`).every((byte) => byte === 0)).toBe(true);
    }
    expect(Object.fromEntries(state.metadata)).toMatchObject({ format: "pt", "optimizer/step": "0" });
  });

  it("opens in the runtime with the folder of the weights, as the manifest names it", async () => {
    const folder = resolve(target, manifest.source.folder);
    expect(folder).toBe(home);
    for (const { file: name, inputs } of Object.values(manifest.graphs)) {
      const session = await InferenceSession.create(readFileSync(join(target, name)), {
        logSeverityLevel: 3,
        extra: { session: { model_external_initializers_file_folder_path: folder } },
      });
      expect([...session.inputNames].sort()).toEqual(inputs.map((input) => input.name).sort());
      await session.release();
    }
  });

  it("names the fields of a batch in its bindings", async () => {
    const bindings: { fields: readonly string[]; folder: string } = await import(join(target, "index.js"));
    expect(bindings.fields).toEqual(["input_ids", "attention_mask", "labels"]);
    expect(resolve(bindings.folder)).toBe(target);
    const types = readFileSync(join(target, "index.d.ts"), "utf8");
    expect(types).toContain('readonly "input_ids": Field<BigInt64Array>;');
  });

  it("is written again in place, as long as nothing was trained", async () => {
    await writeArtifact(compiled, target);
    expect(JSON.parse(readFileSync(join(target, "manifest.json"), "utf8"))).toEqual(
      JSON.parse(JSON.stringify(manifest)),
    );
  });

  it("leaves the source alone", () => expect(hashOf(file)).toBe(before));
});

describe("a folder that holds training", () => {
  const target = join(root, "trained.peft");
  beforeAll(async () => {
    await writeArtifact(compiled, target);
    mkdirSync(join(target, "checkpoints", "step-3"), { recursive: true });
    writeFileSync(join(target, "checkpoints", "step-3", "state.safetensors"), "trained");
    writeFileSync(join(target, "latest"), "step-3");
    writeFileSync(join(target, "metrics.jsonl"), "{}");
    writeFileSync(join(target, "notes.txt"), "mine");
  });

  it("is refused whole, before anything is written", async () => {
    const manifest = hashOf(join(target, "manifest.json"));
    const other = compileGraphs(readModel(file), { method, seed: 8 });
    expect(await refusalOf(writeArtifact(other, target))).toBe("E_ARTIFACT_TRAINED");
    expect(hashOf(join(target, "manifest.json"))).toBe(manifest);
    expect(readFileSync(join(target, "checkpoints", "step-3", "state.safetensors"), "utf8")).toBe("trained");
  });

  it("is emptied of training where that is forced, and of nothing else", async () => {
    await writeArtifact(compiled, target, { force: true });
    for (const name of ["checkpoints", "latest", "metrics.jsonl"])
      expect(existsSync(join(target, name))).toBe(false);
    expect(readFileSync(join(target, "notes.txt"), "utf8")).toBe("mine");
    expect(existsSync(join(target, "manifest.json"))).toBe(true);
  });
});

describe.each(["copy", "link"] as const)("with weights by %s", (weights) => {
  const target = join(root, `${weights}.peft`);

  it("opens by path, with every weight as it was", async () => {
    const manifest = await writeArtifact(compiled, target, { weights });
    expect(manifest.source).toMatchObject({ folder: ".", weights, model: "llama.onnx" });
    expect(hashOf(join(target, "llama.onnx"))).toBe(before);
    expect(statSync(join(target, "llama.onnx")).nlink > 1).toBe(weights === "link");
    // A hard link is followed only by those who trust it.
    const here = readModel(join(target, "train.onnx"), { followLinks: weights === "link" });
    const there = compiled.graphs.train;
    const wanted = new Map([...there.graph.initializers].map((value) => [value.name, value.initializer]));
    for (const { name, initializer } of here.graph.initializers) {
      const original = wanted.get(name);
      if (original === undefined || initializer === undefined) throw new Error(`"${name}" is not ours`);
      if (initializer.dtype === "float32")
        expect(fromTensor(initializer).data, name).toEqual(fromTensor(original).data);
    }
    const session = await InferenceSession.create(join(target, "train.onnx"), { logSeverityLevel: 3 });
    await session.release();
  });
});

describe("weights in a file of their own", () => {
  it.each(["reference", "copy", "link"] as const)("are found by merging, by %s", async (weights) => {
    const source = join(root, `external-${weights}`, "m.onnx");
    mkdirSync(join(source, ".."));
    await writeModel(readModel(file), source, { weights: "external" });
    const graphs = compileGraphs(readModel(source), { method });
    const target = join(root, `external-${weights}.peft`);
    const manifest = await writeArtifact(graphs, target, { weights });
    expect(manifest.source.files.map(({ name }) => name)).toHaveLength(2);
    const merged = await mergeTrained(openTrained(target));
    expect(merged.graph.size).toBe(readModel(file).graph.size);
  });
});

describe("refusals", () => {
  it("of a model that no file holds", async () => {
    const inMemory = readModel(encodeModel(readModel(file)));
    const graphs = compileGraphs(inMemory, { method });
    expect(await refusalOf(writeArtifact(graphs, join(root, "nowhere.peft")))).toBe("E_ARTIFACT_SOURCE");
    expect(existsSync(join(root, "nowhere.peft"))).toBe(false);
  });

  it("of a source whose name is one of ours, in the same folder", async () => {
    const folder = join(root, "clash");
    mkdirSync(folder);
    copyFileSync(modelFile("bert"), join(folder, "train.onnx"));
    const graphs = compileGraphs(readModel(join(folder, "train.onnx")), {
      method: { name: "lora", options: { target_modules: "all-linear" } },
    });
    const hash = hashOf(join(folder, "train.onnx"));
    expect(await refusalOf(writeArtifact(graphs, folder))).toBe("E_ARTIFACT_CLASH");
    expect(await refusalOf(writeArtifact(graphs, join(root, "clash.peft"), { weights: "copy" }))).toBe(
      "E_ARTIFACT_CLASH",
    );
    expect(hashOf(join(folder, "train.onnx"))).toBe(hash);
    expect(await refusalOf(writeArtifact(graphs, join(root, "clash.peft")))).toBe("accepted");
  });
});

describe("the same request", () => {
  it("gives the same bytes", async () => {
    const [one, other] = [join(root, "one.peft"), join(root, "other.peft")];
    await writeArtifact(compileGraphs(readModel(file), { method, seed: 3 }), one);
    await writeArtifact(compileGraphs(readModel(file), { method, seed: 3 }), other);
    for (const name of readdirSync(one)) {
      expect(readFileSync(join(one, name)).equals(readFileSync(join(other, name))), name).toBe(true);
    }
    const third = join(root, "third.peft");
    await writeArtifact(compileGraphs(readModel(file), { method, seed: 4 }), third);
    expect(hashOf(join(third, "state.safetensors"))).not.toBe(hashOf(join(one, "state.safetensors")));
  });

  it("names the source by a relative path", async () => {
    const manifest = await writeArtifact(compiled, join(root, "deep", "er", "x.peft"));
    expect(isAbsolute(manifest.source.folder)).toBe(false);
    expect(resolve(root, "deep", "er", "x.peft", manifest.source.folder)).toBe(home);
  });
});
