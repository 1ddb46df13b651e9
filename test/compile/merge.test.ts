/** Merging: the plain model with new weights computes what the adapted one does, and keeps all else as it was. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { basePath } from "../../src/adapt/select.ts";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { mergeModel } from "../../src/compile/merge-model.ts";
import { readPeftFolder } from "../../src/compile/peft-folder.ts";
import type { CompileRequest } from "../../src/compile/request.ts";
import { runConstantGraph } from "../../src/compile/run-constant.ts";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { inlineTensor } from "../../src/ir/constant.ts";
import type { Model } from "../../src/ir/model.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { readModel } from "../../src/onnx/read.ts";
import { writeModel } from "../../src/onnx/write.ts";
import type { NDArray } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";
import { runModel } from "../harness/runtime.ts";
import { type Batch, GraphSession, resultOf, startingState } from "../oracle/graph-session.ts";
import { oracleRoot } from "../oracle/oracle-set.ts";
import { randomBatch } from "../oracle/random-batch.ts";
import { firstBatch } from "../training/oracle-models.ts";

const folder = mkdtempSync(join(tmpdir(), "peft-merge-"));
afterAll(() => rmSync(folder, { recursive: true }));

function trainedTensors({ state, parameterKeys }: Compiled): Map<string, Tensor> {
  return new Map([...state.tensors].filter(([key]) => parameterKeys.has(key)));
}

/** The source with everything that was trained inside. */
function merge(source: Model, compiled: Compiled): Promise<Model> {
  return mergeModel(source, {
    adapter: compiled.plan.adapter,
    paths: compiled.plan.sites.map(basePath),
    tensors: trainedTensors(compiled),
    run: runConstantGraph,
  });
}

async function adaptedLogits(compiled: Compiled, batch: Batch): Promise<NDArray> {
  const session = await GraphSession.open(compiled.graphs.eval);
  try {
    return resultOf(await session.run(batch, startingState(compiled, "eval")), "logits");
  } finally {
    await session.close();
  }
}

async function plainLogits(model: Model, batch: Batch): Promise<NDArray> {
  const feeds = new Map(
    model.graph.inputs.flatMap((input) => {
      const array = batch.get(input.name);
      return array === undefined ? [] : [[input, array] as const];
    }),
  );
  const index = Math.max(
    0,
    model.graph.outputs.findIndex(({ name }) => name === "logits"),
  );
  const logits = (await runModel(model, feeds))[index];
  if (logits === undefined) throw new Error("no logits");
  return logits;
}

function largestDifference(left: NDArray, right: NDArray): number {
  expect(left.shape).toEqual(right.shape);
  return left.numbers.reduce((most, value, i) => {
    const distance = Math.abs(value - (right.numbers[i] ?? Number.NaN));
    return Number.isNaN(distance) ? Number.POSITIVE_INFINITY : Math.max(most, distance);
  }, 0);
}

/** Checks that merged and adapted logits agree, and that both differ from those of the source. */
async function checkParity(source: Model, compiled: Compiled, batch: Batch): Promise<Model> {
  const before = printModel(source, { elideElements: 8 });
  const merged = await merge(source, compiled);
  verifyModel(merged);
  expect(printModel(source, { elideElements: 8 })).toBe(before);
  const [wanted, got, base] = [
    await adaptedLogits(compiled, batch),
    await plainLogits(merged, batch),
    await plainLogits(source, batch),
  ];
  expect(largestDifference(got, wanted)).toBeLessThan(1e-4);
  expect(largestDifference(base, wanted)).toBeGreaterThan(1e-3);
  return merged;
}

/** Cases beside `lora`, in the export that keeps names, layouts and tied weights as they are. */
const further: Readonly<Record<string, readonly string[]>> = {
  llama: ["ia3", "lora-all-linear", "lora-embedding", "lora-save-norm", "lora-save-head"],
  bert: ["ia3", "lora-biases-all"],
  gpt2: ["ia3", "lora-embedding", "lora-biases-all"],
  t5: ["ia3"],
  vit: ["lora-save"],
  smallconv: ["lora-save"],
};
const cases = Object.entries(further).flatMap(([model, names]) => [
  ...["model.onnx", "model-dynamo.onnx"].map((file) => ({ model, name: "lora", file })),
  ...["lora", ...names].map((name) => ({ model, name, file: "model-unfolded.onnx" })),
]);

describe("the models of the reference set", () => {
  it.each(cases)("$model/$name in $file", async ({ model, name, file }) => {
    const source = readModel(join(oracleRoot, "models", model, file));
    const peft = readPeftFolder(join(oracleRoot, "cases", model, name));
    const compiled = compileGraphs(
      source,
      { method: { name: peft.method, options: { ...peft.options } }, modulesToSave: savedOf(peft.options) },
      { adapter: peft },
    );
    const merged = await checkParity(source, compiled, firstBatch(model));
    expect(merged.opset).toBe(source.opset);
    const ports = ({ graph }: Model): string[] =>
      [...graph.inputs, ...graph.outputs].map((value) => value.name);
    expect(ports(merged)).toEqual(ports(source));
  });
});

function savedOf(options: Readonly<Record<string, unknown>>): string[] {
  return Array.isArray(options.modules_to_save) ? options.modules_to_save.map(String) : [];
}

describe("a trained language model", () => {
  const root = process.env.PEFT_MODELS ?? "fixtures/models";
  const files = ["model.onnx", "model-dynamo.onnx"].map((name) => join(root, "stories260k", name));
  it.each(files.filter(existsSync))("%s", async (file) => {
    const source = readModel(file);
    const compiled = compileGraphs(source, {
      method: { name: "lora", options: { target_modules: "all-linear", init_lora_weights: false } },
    });
    const merged = await checkParity(
      source,
      compiled,
      randomBatch(compiled.graphs.eval.graph, { batch: 2, seq: 9, seed: 3 }),
    );
    expect([...merged.graph.nodes()].map(({ op }) => op)).toEqual(
      [...source.graph.nodes()].map(({ op }) => op),
    );
  });
});

/** Compiles a text with factors away from zero, and gives both models. */
async function adapt(
  text: string,
  request: CompileRequest,
): Promise<{ source: Model; compiled: Compiled; batch: Batch }> {
  const file = join(folder, "m.onnx");
  await writeModel(parseModel(text), file);
  const source = readModel(file);
  const compiled = compileGraphs(source, request);
  return { source, compiled, batch: randomBatch(compiled.graphs.eval.graph, { batch: 2, seq: 3, seed: 1 }) };
}

const random = (targets: readonly string[]): CompileRequest => ({
  method: { name: "lora", options: { target_modules: targets, r: 2, init_lora_weights: false } },
  modulesToSave: [],
});

describe("tied weights", () => {
  const tied = `f (int64[n,s] ids) => (float[n,s,3] logits) <float[3,2] "wte.weight" = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}> {
    ["/wte/Gather"] e = Gather ("wte.weight", ids)
    ["/lm_head/Transpose"] t = Transpose <perm = [1, 0]> ("wte.weight")
    ["/lm_head/MatMul"] logits = MatMul (e, t)
  }`;

  it.each(["wte", "lm_head"])("of which %s is adapted stay for the other module", async (path) => {
    const { source, compiled, batch } = await adapt(tied, random([path]));
    const merged = await checkParity(source, compiled, batch);
    const values = [...merged.graph.initializers].map(({ name, initializer }) => [
      name,
      String(initializer?.bytes()),
    ]);
    expect(values.map(([name]) => name)).toEqual(["wte.weight", "wte.weight.merged"]);
    const [original] = [...source.graph.initializers];
    expect(values[0]?.[1]).toBe(String(original?.initializer?.bytes()));
    expect(values[1]?.[1]).not.toBe(values[0]?.[1]);
  });

  it("that are both adapted part", async () => {
    const { source, compiled, batch } = await adapt(tied, random(["wte", "lm_head"]));
    await checkParity(source, compiled, batch);
  });

  it.each(["wte", "lm_head"])("are changed alike by ensure_weight_tying on %s", async (path) => {
    const options = { target_modules: [path], r: 2, init_lora_weights: false, ensure_weight_tying: true };
    const request: CompileRequest = { method: { name: "lora", options }, modulesToSave: [] };
    const { source, compiled, batch } = await adapt(tied, request);
    const merged = await checkParity(source, compiled, batch);
    const weights = [...merged.graph.initializers].map(({ initializer }) => String(initializer?.bytes()));
    expect(new Set(weights).size).toBe(1);
  });

  it("are one trained weight where ensure_weight_tying finds the table in modules_to_save", async () => {
    const file = join(folder, "saved.onnx");
    const text = tied
      .replace('"wte.weight" =', 'float[2,2] "fc.weight" = {0.1, 0.2, 0.3, 0.4}, float[3,2] "wte.weight" =')
      .replace("<float[3,2] float", "<float")
      .replace(/e = Gather (.*)/, 'a = Gather $1\n    ["/fc/MatMul"] e = MatMul (a, "fc.weight")');
    await writeModel(parseModel(text), file);
    const source = readModel(file);
    const options = { target_modules: ["fc"], modules_to_save: ["wte"], ensure_weight_tying: true, r: 1 };
    const request: CompileRequest = { method: { name: "lora", options } };
    const { state } = compileGraphs(source, request);
    const table = inlineTensor("float32", [3, 2], new Uint8Array(Float32Array.of(3, 1, 4, 1, 5, 9).buffer));
    const tensors = new Map([...state.tensors, ["base_model.model.wte.weight", table]]);
    const compiled = compileGraphs(source, request, { adapter: { file, tensors } });
    const batch = randomBatch(compiled.graphs.eval.graph, { batch: 2, seq: 3, seed: 1 });
    await checkParity(source, compiled, batch);
  });

  it("of one module that is called twice are one", async () => {
    const twice = `f (float[n,2] x) => (float[n,2] logits) <float[2,2] w = {0.1, 0.2, 0.3, 0.4}> {
      ["/fc/MatMul"] a = MatMul (x, w)
      ["/fc/MatMul_1"] logits = MatMul (a, w)
    }`;
    const { source, compiled, batch } = await adapt(twice, random(["fc"]));
    const merged = await checkParity(source, compiled, batch);
    expect([...merged.graph.initializers].map(({ name }) => name)).toEqual(["w"]);
  });
});

describe("weights that stand elsewhere in the source", () => {
  it("in a local function", async () => {
    const text = `<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
    f (float[n,2] x) => (float[n,3] logits) <float[2,3] "fc.weight" = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}> {
      logits = local.layer (x, "fc.weight")
    }
    <domain: "local", opset_import: ["" : 20]>
    layer (x, w) => (y) { y = MatMul (x, w) }`;
    const { source, compiled, batch } = await adapt(text, random(["fc"]));
    await checkParity(source, compiled, batch);
  });

  it("in a Constant node", async () => {
    const text = `f (float[n,2] x) => (float[n,3] logits) {
      "fc.weight" = Constant <value = float[2,3] {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}> ()
      "fc.bias" = Constant <value_floats = [1.0, 2.0, 3.0]> ()
      a = MatMul (x, "fc.weight")
      logits = Add (a, "fc.bias")
    }`;
    const { source, compiled, batch } = await adapt(text, random(["fc"]));
    await checkParity(source, compiled, batch);
  });

  it("in a Constant node, trained whole", async () => {
    const text = `f (float[n,2] x) => (float[n,3] logits) <float[2,2] "up.weight" = {1, 2, 3, 4}> {
      "fc.bias" = Constant <value_floats = [1.0, 2.0, 3.0]> ()
      "fc.weight" = Constant <value = float[2,3] {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}> ()
      h = MatMul (x, "up.weight")
      a = MatMul (h, "fc.weight")
      logits = Add (a, "fc.bias")
    }`;
    const { source, compiled, batch } = await adapt(text, { ...random(["up"]), modulesToSave: ["fc"] });
    for (const [key, tensor] of compiled.state.tensors) {
      if (!key.endsWith("fc.weight") && !key.endsWith("fc.bias")) continue;
      // As if it had been trained.
      const bytes = new Uint8Array(Float32Array.from({ length: tensor.size }, (_, i) => i - 1).buffer);
      compiled.state.tensors.set(key, inlineTensor("float32", tensor.dims, bytes, key));
    }
    await checkParity(source, compiled, batch);
  });

  it("of an old opset, which stays", async () => {
    const text = `<ir_version: 6, opset_import: ["" : 11]>
    f (float[n,2] x) => (float[n,3] logits) <float[2,3] "fc.weight" = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}, float[3] "fc.bias" = {1, 2, 3}> {
      a = Softmax <axis = 1> (x)
      logits = Gemm (a, "fc.weight", "fc.bias")
    }`;
    const { source, compiled, batch } = await adapt(text, random(["fc"]));
    expect((await checkParity(source, compiled, batch)).opset).toBe(11);
  });

  it("behind a Cast, where they are no site", async () => {
    const text = `f (float[n,2] x) => (float[n,3] logits) <
      float16[2,3] "fc.weight" = {14336, 15360, 16384, 14336, 15360, 16384}
    > {
      w = Cast <to = 1> ("fc.weight")
      logits = MatMul (x, w)
    }`;
    await expect(adapt(text, random(["fc"]))).rejects.toThrow(/E_NO_SITES/);
  });
});

describe("refusals", () => {
  it("name the module and say why", async () => {
    const text = `f (float[n,2,5,5] x) => (float[n,4,5,5] logits) <float[4,1,1,1] "conv.weight" = {1, 2, 3, 4}> {
      ["/conv/Conv"] logits = Conv <group = 2> (x, "conv.weight")
    }`;
    const { source, compiled } = await adapt(text, random(["conv"]));
    await expect(merge(source, compiled)).rejects.toThrow(/E_MERGE_REFUSED .*"conv".*grouped/);
    await expect(merge(source, compiled)).rejects.toThrow(DiagnosticError);
  });

  it("of a source that lacks an adapted module, instead of leaving it out", async () => {
    const text = `f (float[n,2] x) => (float[n,2] logits) <float[2,2] "fc.weight" = {1, 2, 3, 4}> {
      logits = MatMul (x, "fc.weight")
    }`;
    const { compiled } = await adapt(text, random(["fc"]));
    const other = parseModel(text.replaceAll("fc.weight", "other.weight"));
    await expect(merge(other, compiled)).rejects.toThrow(/E_MERGE_MODULE .*"fc"/);
  });

  it("of a source that lacks a parameter that was trained whole", async () => {
    const text = `f (float[n,2] x) => (float[n,2] logits) <float[2,2] "fc.weight" = {1, 2, 3, 4}, float[2] "norm.weight" = {1, 2}> {
      a = Mul (x, "norm.weight")
      logits = MatMul (a, "fc.weight")
    }`;
    const { compiled } = await adapt(text, { ...random(["fc"]), modulesToSave: ["norm"] });
    const other = parseModel(text.replaceAll("norm.weight", "layernorm_weight"));
    await expect(merge(other, compiled)).rejects.toThrow(/E_MERGE_MODULE .*"norm.weight"/);
  });
});

describe("progress", () => {
  it("is told after each module", async () => {
    const text = `f (float[n,2] x) => (float[n,2] logits) <float[2,2] "a.weight" = {1, 2, 3, 4}, float[2,2] "b.weight" = {1, 2, 3, 4}> {
      h = MatMul (x, "a.weight")
      logits = MatMul (h, "b.weight")
    }`;
    const { source, compiled } = await adapt(text, random(["a", "b"]));
    const told: string[] = [];
    await mergeModel(source, {
      adapter: compiled.plan.adapter,
      paths: ["a", "b"],
      tensors: trainedTensors(compiled),
      run: runConstantGraph,
      onProgress: (done, total) => told.push(`${done}/${total}`),
    });
    expect(told).toEqual(["1/2", "2/2"]);
  });
});
