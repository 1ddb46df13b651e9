/** Modules with quantised weights: what is found of each form, and that its weight is the one that the module computes with. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { baseWeight } from "../../src/adapt/base-weight.ts";
import { basePath } from "../../src/adapt/select.ts";
import { findSites, type Site } from "../../src/analysis/sites.ts";
import { compileGraphs } from "../../src/compile/compile.ts";
import { mergeModel } from "../../src/compile/merge-model.ts";
import { runConstantGraph } from "../../src/compile/run-constant.ts";
import { Random } from "../../src/data/random.ts";
import type { Model } from "../../src/ir/model.ts";
import { readModel } from "../../src/onnx/read.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { fromNumbers, NDArray } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";

const numbers = "int8[4,3] packed = {1, -2, 3, 4, -5, 6, -7, 8, 9, -1, 2, -3}";
const constants = `<${numbers}, float[3] ws = {0.1, 0.2, 0.3}, int8[3] wz = {1, 0, -2}, float one = {0.1}, float[3] b = {1, 2, 3}>`;
const bytes = (count: number): string =>
  Array.from({ length: count }, (_, i) => (i * 37 + 11) % 256).join(", ");

/** Each with data of (2, in), or ids; columns of the result, and what is said of the weight. */
const forms: readonly (readonly [
  name: string,
  inputs: string,
  columns: number,
  body: string,
  said: string,
])[] = [
  [
    "DequantizeLinear",
    "float[2,4] x",
    3,
    `${constants} { w = DequantizeLinear (packed, ws, wz) p = MatMul (x, w) y = Add (p, b) }`,
    "int8",
  ],
  [
    "DequantizeLinear and Transpose",
    "float[2,3] x",
    4,
    `${constants} { w = DequantizeLinear (packed, ws, wz) t = Transpose (w) y = MatMul (x, t) }`,
    "int8",
  ],
  [
    "MatMulInteger",
    "float[2,4] x",
    3,
    `${constants} {
      q, s, z = DynamicQuantizeLinear (x) i = MatMulInteger (q, packed, z, wz) f = Cast <to = 1> (i)
      u = Mul (s, ws) p = Mul (f, u) y = Add (p, b)
    }`,
    "int8",
  ],
  [
    "MatMulInteger, scaled in two steps",
    "float[2,4] x",
    3,
    `${constants} {
      q, s, z = DynamicQuantizeLinear (x) i = MatMulInteger (q, packed, z) f = Cast <to = 1> (i)
      p = Mul (f, one) y = Mul (s, p)
    }`,
    "int8",
  ],
  [
    "MatMulIntegerToFloat",
    "float[2,4] x",
    3,
    `${constants} { q, s, z = DynamicQuantizeLinear (x) y = com.microsoft.MatMulIntegerToFloat (q, packed, s, ws, z, wz, b) }`,
    "int8",
  ],
  [
    "DynamicQuantizeMatMul",
    "float[2,4] x",
    3,
    `${constants} { y = com.microsoft.DynamicQuantizeMatMul (x, packed, ws, wz, b) }`,
    "int8",
  ],
  [
    "MatMulNBits",
    "float[2,20] x",
    3,
    `<uint8[3,2,8] packed = {${bytes(48)}}, float[3,2] s = {0.1, 0.2, 0.3, 0.1, 0.2, 0.3}, uint8[3,1] z = {120, 7, 200}> {
      y = com.microsoft.MatMulNBits <K = 20, N = 3, bits = 4, block_size = 16> (x, packed, s, z)
    }`,
    "4 bits in blocks of 16",
  ],
  [
    "MatMulBnb4",
    "float[2,16] x",
    3,
    `<uint8[24] packed = {${bytes(24)}}, float[3] s = {0.1, 0.2, 0.3}> {
      y = com.microsoft.MatMulBnb4 <K = 16, N = 3, quant_type = 1, block_size = 16> (x, packed, s)
    }`,
    "nf4 in blocks of 16",
  ],
  [
    "GatherBlockQuantized",
    "int64[2] x",
    16,
    `<uint8[3,8] packed = {${bytes(24)}}, float[3,1] s = {0.1, 0.2, 0.3}> {
      y = com.microsoft.GatherBlockQuantized <block_size = 16> (packed, x, s)
    }`,
    "4 bits in blocks of 16",
  ],
  [
    "Gather of numbers",
    "int64[2] x",
    3,
    `${constants} { g = Gather (packed, x) y = DequantizeLinear (g, one) }`,
    "int8",
  ],
  [
    "Gather of floats",
    "int64[2] x",
    3,
    `${constants} { w = DequantizeLinear (packed, one) y = Gather (w, x) }`,
    "int8",
  ],
];

function parsed(inputs: string, columns: number, body: string): Model {
  const head = '<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1]>';
  const model = parseModel(`${head}\nf (${inputs}) => (float[2,${columns}] y) ${body}`);
  for (const value of model.graph.initializers) if (value.name === "packed") value.name = "fc.weight";
  inferModel(model);
  return model;
}

function onlySite(model: Model): Site {
  const [site, another] = findSites(model.graph);
  if (site === undefined || another !== undefined) throw new Error("there is not one site");
  return site;
}

describe.each(forms)("%s", (_, inputs, columns, body, said) => {
  const model = parsed(inputs, columns, body);
  const { graph } = model;

  it("is found with its data, its result and its weight", () => {
    const site = onlySite(model);
    const [x] = graph.inputs;
    const [y] = graph.outputs;
    if (x === undefined || y === undefined) throw new Error("no input");
    expect(site.path).toBe("fc");
    expect([site.x, site.y]).toEqual([x, y]);
    expect(site.weight.quantized?.description).toBe(said);

    const size = (x.tensorType?.shape ?? []).reduce<number>((product, dim) => product * Number(dim), 1);
    const random = new Random(3);
    const isTable = site.kind === "embedding";
    const data = isTable ? [2, 0] : Array.from({ length: size }, () => random.normal());
    const array = fromNumbers(isTable ? "int64" : "float32", isTable ? [2] : [2, size / 2], data);
    const [got] = evaluateGraph(graph, new Map([[x, array]]), { opset: model.opset, exact: true });
    const dims = site.kind === "linear" ? [site.outFeatures, site.inFeatures] : [3, columns];
    const weight = Array.from(baseWeight(site)(dims, random));
    const bias = site.bias === undefined ? [0, 0, 0, 0] : [1, 2, 3];
    const inner = dims[1] ?? 0;
    const wanted = Array.from({ length: 2 * columns }, (_, at) => {
      const [row, column] = [Math.floor(at / columns), at % columns];
      if (isTable) return weight[(data[row] ?? 0) * inner + column] ?? 0;
      const terms = Array.from(
        { length: inner },
        (_, k) => (array.toNumbers()[row * inner + k] ?? 0) * (weight[column * inner + k] ?? 0),
      );
      return terms.reduce((sum, term) => sum + term, bias[column] ?? 0);
    });
    got?.toNumbers().forEach((value, at) => expect(value).toBeCloseTo(wanted[at] ?? 0, 4));
    expect(got).toBeInstanceOf(NDArray);
  });
});

describe("what is no such module", () => {
  it.each([
    [
      "a scale that is not that of the data",
      `${constants} { q, s, z = DynamicQuantizeLinear (x) i = MatMulInteger (q, packed, z) f = Cast <to = 1> (i) u = Mul (one, ws) y = Mul (f, u) }`,
    ],
  ])("%s", (_, body) => {
    expect(findSites(parsed("float[2,4] x", 3, body).graph)).toEqual([]);
  });
});

describe("a module with a quantised weight", () => {
  const source = readModel(join("fixtures/quantized", "bert-dynamic.onnx"));
  const request = (options: Record<string, unknown>) => ({
    method: { name: "lora", options: { target_modules: ["query"], ...options } },
    optimizer: { name: "adamw", options: {} },
    task: "auto" as const,
  });

  it("is not trained whole", () => {
    const compile = () => compileGraphs(source, request({ modules_to_save: ["pooler"] }));
    expect(compile).toThrow(/E_SAVED_QUANTIZED/);
  });

  it("is not merged into", async () => {
    const compiled = compileGraphs(source, request({}));
    const merging = mergeModel(source, {
      adapter: compiled.plan.adapter,
      paths: compiled.plan.sites.map(basePath),
      tensors: new Map([...compiled.state.tensors].filter(([key]) => compiled.parameterKeys.has(key))),
      run: runConstantGraph,
    });
    await expect(merging).rejects.toThrow(/E_MERGE_QUANTIZED/);
  });
});
