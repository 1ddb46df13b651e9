/** Parameters of the base model that are trained whole: which, under which keys, in which layout, and for which readers. */
import { describe, expect, it } from "vitest";
import { findBaseParameters, type SavedOptions, trainBaseParameters } from "../../src/adapt/saved.ts";
import { basePath } from "../../src/adapt/select.ts";
import { findSites } from "../../src/analysis/sites.ts";
import { Random } from "../../src/data/random.ts";
import type { Model } from "../../src/ir/model.ts";
import { roleFact, roleOf, withRole } from "../../src/ir/role.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";

const text = `f (float[n,3] x) => (float[n,2] y) <
  float[3] "norm.weight" = {1.5, 2, 3},
  float[3] "layers.0.input_layernorm.weight" = {0.5, 1, 2},
  float[3,4] "onnx::MatMul_7" = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
  float[4] "layers.0.up.bias" = {1, 2, 3, 4},
  float[2,4] "classifier.weight" = {1, -1, 2, -2, 3, -3, 4, -4},
  float[2] "classifier.bias" = {5, 6},
  float "onnx::Mul_9" = {2}
> {
  a = Mul (x, "norm.weight")
  b = Mul (a, "layers.0.input_layernorm.weight")
  ["/layers.0/up/MatMul"] c = MatMul (b, "onnx::MatMul_7")
  ["/layers.0/up/Add"] d = Add (c, "layers.0.up.bias")
  e = Mul (d, "onnx::Mul_9")
  y = Gemm <transB = 1> (e, "classifier.weight", "classifier.bias")
}`;

interface Trained {
  readonly model: Model;
  readonly keys: string[];
}

function train(graphText: string, options: Partial<SavedOptions>): Trained {
  const model = parseModel(graphText);
  inferModel(model);
  const parameters = findBaseParameters(model.graph, findSites(model.graph));
  const keys = trainBaseParameters(model.graph, parameters, {
    modules: [],
    bias: "none",
    adapted: new Set(),
    opset: model.opset,
    ...options,
  });
  inferModel(model);
  verifyModel(model);
  return { model, keys: keys.map((key) => key.replace("base_model.model.", "")) };
}

/** Outputs on random data; trained parameters keep their starting values unless given. */
function run({ graph, opset }: Model, given: Readonly<Record<string, readonly number[]>> = {}): NDArray[] {
  const random = new Random(1);
  const feeds = new Map(
    graph.inputs.flatMap((input) => {
      const shape = (input.tensorType?.shape ?? []).map((dim) => (typeof dim === "number" ? dim : 2));
      const size = shape.reduce((product, dim) => product * dim, 1);
      const values = given[(roleFact(input, "key") ?? "").replace("base_model.model.", "")];
      if (values === undefined && input.initializer !== undefined) return [];
      const dtype = input.tensorType?.dtype ?? "float32";
      const draw = (): number => (dtype === "int64" ? random.below(3) : random.normal());
      return [[input, fromNumbers(dtype, shape, values ?? Array.from({ length: size }, draw))] as const];
    }),
  );
  return evaluateGraph(graph, feeds, { opset });
}

describe("findBaseParameters", () => {
  it("knows parameters of sites and whatever else has a module's name", () => {
    const { graph } = parseModel(text);
    const found = findBaseParameters(graph, findSites(graph)).map(
      ({ module, name, storedAs }) => `${module} ${name} ${storedAs}`,
    );
    expect(found.sort()).toEqual([
      "classifier bias torch",
      "classifier weight torch",
      "layers.0.input_layernorm weight torch",
      "layers.0.up bias torch",
      "layers.0.up weight transposed",
      "norm weight torch",
    ]);
  });
});

describe("modules to save", () => {
  it("are matched by plain suffix, so that norm is every layer's norm", () => {
    expect(train(text, { modules: ["norm"] }).keys.sort()).toEqual([
      "layers.0.input_layernorm.weight",
      "norm.weight",
    ]);
  });

  it("are trained whole, weight and bias, under PEFT's keys", () => {
    const { model, keys } = train(text, { modules: ["classifier"] });
    expect(keys).toEqual(["classifier.weight", "classifier.bias"]);
    const params = withRole(model.graph.inputs, "param");
    expect(params.map(({ name }) => name)).toEqual([
      "base_model.model.classifier.weight",
      "base_model.model.classifier.bias",
    ]);
    expect(params.every((param) => roleOf(param) === "param" && param.initializer !== undefined)).toBe(true);
  });

  it("include what lies in them", () => {
    expect(train(text, { modules: ["layers.0"] }).keys.sort()).toEqual([
      "layers.0.input_layernorm.weight",
      "layers.0.up.bias",
      "layers.0.up.weight",
    ]);
  });

  it("that the model does not have are nothing", () => {
    expect(train(text, { modules: ["score"] }).keys).toEqual([]);
  });

  it("start where the model is, in PyTorch's layout", () => {
    const { model } = train(text, { modules: ["up", "classifier", "norm"] });
    expect(run(model)[0]?.data).toEqual(run(parsed(text))[0]?.data);
    const up = model.graph.inputs.find(({ name }) => name.endsWith("up.weight"));
    expect(up?.initializer?.dims).toEqual([4, 3]);
    expect(up?.tensorType?.shape).toEqual([4, 3]);
  });

  it("have effect in that layout", () => {
    const { model } = train(text, { modules: ["up"] });
    // The first output feature alone reads the first input feature.
    const weight = [1, ...new Array<number>(11).fill(0)];
    const bias = [0, 0, 0, 0];
    const [changed] = run(model, { "layers.0.up.weight": weight, "layers.0.up.bias": bias });
    const base = parsed(text);
    const [reference] = run(base);
    expect(changed?.data).not.toEqual(reference?.data);
    const x = new Random(1);
    const first = x.normal() * 1.5 * 0.5 * 2;
    expect(changed?.numbers[0]).toBeCloseTo(first * 1 + 5, 5);
    expect(changed?.numbers[1]).toBeCloseTo(first * 3 + 6, 5);
  });
});

describe("biases", () => {
  it("of all modules are trained under all, those of adapted ones with PEFT's infix", () => {
    const adapted = new Set(["layers.0.up"]);
    expect(train(text, { bias: "all", adapted }).keys).toEqual([
      "layers.0.up.base_layer.bias",
      "classifier.bias",
    ]);
    expect(train(text, { bias: "all" }).keys).toEqual(["layers.0.up.bias", "classifier.bias"]);
  });

  it("of adapted modules alone are trained under lora_only", () => {
    expect(train(text, { bias: "adapted", adapted: new Set(["layers.0.up"]) }).keys).toEqual([
      "layers.0.up.base_layer.bias",
    ]);
  });

  it("are none by default", () => {
    expect(train(text, { adapted: new Set(["layers.0.up"]) }).keys).toEqual([]);
  });
});

describe("tied weights", () => {
  const tied = `f (int64[n,1] ids) => (float[n,1,2] e, float[n,1,3] logits) <
    float[3,2] "wte.weight" = {1, 2, 3, 4, 5, 6}
  > {
    ["/wte/Gather"] e = Gather ("wte.weight", ids)
    ["/lm_head/Transpose"] t = Transpose <perm = [1, 0]> ("wte.weight")
    ["/lm_head/MatMul"] logits = MatMul (e, t)
  }`;

  it("are two parameters, of which one may be trained alone", () => {
    const { model, keys } = train(tied, { modules: ["lm_head"] });
    expect(findSites(parseModel(tied).graph).map(basePath)).toEqual(["wte", "lm_head"]);
    expect(keys).toEqual(["lm_head.weight"]);
    expect(run(model).map(({ data }) => data)).toEqual(run(parsed(tied)).map(({ data }) => data));
    const [rows, logits] = run(model, { "lm_head.weight": [0, 0, 0, 0, 0, 0] });
    expect(rows?.data).toEqual(run(parsed(tied))[0]?.data);
    expect([...(logits?.numbers ?? [])].every((value) => value === 0)).toBe(true);
  });

  it("leave the head as it is when the table is trained", () => {
    const { model, keys } = train(tied, { modules: ["wte"] });
    expect(keys).toEqual(["wte.weight"]);
    const [rows, logits] = run(model, { "wte.weight": [1, 0, 1, 0, 1, 0] });
    expect([...(rows?.numbers ?? [])]).toEqual([1, 0, 1, 0]);
    expect([...(logits?.numbers ?? [])]).toEqual([1, 3, 5, 1, 3, 5]);
  });
});

describe("layouts", () => {
  it("of Conv1D are its own, (in, out)", () => {
    const conv1d = `f (float[n,3] x) => (float[n,2] y) <float[3,2] "h.c_attn.weight" = {1, 2, 3, 4, 5, 6}> {
      ["/h/c_attn/MatMul"] y = MatMul (x, "h.c_attn.weight")
    }`;
    const { model } = train(conv1d, { modules: ["c_attn"] });
    const [input] = withRole(model.graph.inputs, "param");
    expect(input?.initializer?.dims).toEqual([3, 2]);
    expect(run(model)[0]?.data).toEqual(run(parsed(conv1d))[0]?.data);
  });

  it("through a Transpose of the file are those of the file", () => {
    const unfolded = `f (float[n,3] x) => (float[n,2] y) <float[2,3] "fc.weight" = {1, 2, 3, 4, 5, 6}> {
      ["/fc/Transpose"] t = Transpose <perm = [1, 0]> ("fc.weight")
      ["/fc/MatMul"] y = MatMul (x, t)
    }`;
    const { model } = train(unfolded, { modules: ["fc"] });
    const [input] = withRole(model.graph.inputs, "param");
    expect(input?.initializer?.dims).toEqual([2, 3]);
    expect(run(model)[0]?.data).toEqual(run(parsed(unfolded))[0]?.data);
    const [changed] = run(model, { "fc.weight": [1, 0, 0, 0, 0, 0] });
    expect(changed?.numbers[1]).toBe(0);
    expect(changed?.numbers[0]).not.toBe(0);
  });
});

function parsed(graphText: string): Model {
  const model = parseModel(graphText);
  inferModel(model);
  return model;
}
