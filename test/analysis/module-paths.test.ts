/** Module paths: every module of six models under its PyTorch name in three exports, and what exporters do to names. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { findHead, findSites, type Site } from "../../src/analysis/sites.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { preparePipeline } from "../../src/compile/prepare.ts";
import type { Model } from "../../src/ir/model.ts";
import { transposedTensor } from "../../src/ir/transposed.ts";
import { readModel } from "../../src/onnx/read.ts";
import { fromTensor } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";
import { logitsOutput } from "../../src/training/tasks.ts";
import { oracleRoot, readArrays } from "../oracle/oracle-set.ts";

const models = ["llama", "bert", "gpt2", "t5", "vit", "smallconv"];
const exports = ["model.onnx", "model-dynamo.onnx", "model-unfolded.onnx"];
const cases = models.flatMap((model) => exports.map((file) => ({ model, file })));

/** Modules that the graph does not use under their own name: T5 reads its shared table through both stacks. */
const unused: Readonly<Record<string, readonly string[]>> = { t5: ["shared"] };

/** Layers whose kernel is not the layer's weight any more, since the exporter folded a BatchNorm into it. */
const folded: Readonly<Record<string, readonly string[]>> = { smallconv: ["down"] };

const heads: Readonly<Record<string, string>> = {
  llama: "lm_head",
  gpt2: "lm_head",
  t5: "lm_head",
  bert: "classifier",
  vit: "classifier",
  smallconv: "classifier",
};

const schema = z.looseObject({
  modules: z.record(
    z.string(),
    z.looseObject({ class: z.string(), parameters: z.record(z.string(), z.array(z.number())) }),
  ),
  tied_parameters: z.record(z.string(), z.string()).default({}),
});

function readModules(model: string): z.output<typeof schema> {
  return schema.parse(JSON.parse(readFileSync(join(oracleRoot, "models", model, "modules.json"), "utf8")));
}

/** PyTorch's class of a module that multiplies, convolves or looks up; undefined for others, such as norms. */
function classOf(site: Site): string | undefined {
  if (site.kind === "embedding") return "Embedding";
  if (site.kind === "conv") return "Conv2d";
  if (site.kind === "linear") return site.conv1d ? "Conv1D" : "Linear";
  return undefined;
}

/** Modules by class and path. */
function listed(model: Model): string[] {
  const sites = findSites(model.graph).filter((site) => classOf(site) !== undefined);
  return sites.map((site) => `${classOf(site)} ${site.path}`).sort();
}

describe.each(cases)("$model/$file", ({ model, file }) => {
  const { modules, tied_parameters: tied } = readModules(model);
  const open = (): Model => readModel(join(oracleRoot, "models", model, file));
  const wanted = Object.entries(modules)
    .filter(([path, { class: kind }]) => {
      return /^(Linear|Conv1D|Conv2d|Embedding)$/.test(kind) && !unused[model]?.includes(path);
    })
    .map(([path, { class: kind }]) => `${kind} ${path}`);

  it("has every module that the graph uses, exactly", () => {
    expect(listed(open())).toEqual(wanted.sort());
  });

  it("has the same after preparation", () => {
    const prepared = open();
    runPasses(prepared, preparePipeline);
    expect(listed(prepared)).toEqual(wanted.sort());
    const logits = logitsOutput(prepared.graph);
    expect(logits && findHead(findSites(prepared.graph), logits)?.path).toBe(heads[model]);
  });

  it("has their weights and biases, in the layout that is claimed", () => {
    const weights = readArrays(join(oracleRoot, "models", model, "weights.safetensors"));
    const isFolded = (path: string): boolean =>
      file !== "model-unfolded.onnx" && folded[model]?.includes(path) === true;
    for (const site of findSites(open().graph)) {
      if (classOf(site) === undefined) continue;
      const { path, weight, bias } = site;
      const tensor = weight.value.initializer;
      if (tensor === undefined) throw new Error(`${path} has no data`);
      const isOwn = site.kind === "linear" && site.conv1d;
      const own = weight.storedAs === "transposed" && !isOwn ? transposedTensor(tensor) : tensor;
      const name = `${path}.weight`;
      const stored = weights.get(name) ?? weights.get(tied[name] ?? "");
      const same = fromTensor(own).data.toString() === stored?.data.toString();
      expect(own.dims, name).toEqual(stored?.shape);
      expect(same, name).toBe(!isFolded(path));
      const biasNamed = weights.get(`${path}.bias`);
      if (isFolded(path)) continue;
      expect(bias === undefined ? undefined : fromTensor(bias.value.initializer ?? tensor).data).toEqual(
        biasNamed?.data,
      );
    }
  });
});

/** Paths of the sites of a text. */
function pathsOf(text: string): string[] {
  return findSites(parseModel(text).graph).map(({ path }) => path);
}

/** A graph of products in a row: named by their nodes alone, beside parameters that name modules. */
function products(nodes: readonly string[], named: readonly string[] = []): string {
  const weights = nodes.map((_, i) => `float[2,2] "onnx::MatMul_${i}" = {1, 2, 3, ${i}}`);
  const others = named.map((name) => `float[2] "${name}" = {1, 2}`);
  const body = nodes.map((name, i) => `["${name}"] v${i + 1} = MatMul (v${i}, "onnx::MatMul_${i}")`);
  return `f (float[n,2] v0) => (float[n,2] v${nodes.length}) <${[...weights, ...others].join(", ")}> {
    ${body.join("\n")}
  }`;
}

describe("names of the tracing exporter", () => {
  it("say the path where weights were renamed", () => {
    expect(pathsOf(products(["/model/layers.0/mlp/up_proj/MatMul", "/lm_head/MatMul"]))).toEqual([
      "model.layers.0.mlp.up_proj",
      "lm_head",
    ]);
  });

  it("lack a parent whose own forward is not called, which parameters beside it prove", () => {
    const nodes = ["/decoder/layers.0/fc1/MatMul", "/decoder/layers.0/mlp/gate/MatMul"];
    expect(pathsOf(products(nodes, ["model.decoder.layers.0.norm.weight"]))).toEqual([
      "model.decoder.layers.0.fc1",
      "model.decoder.layers.0.mlp.gate",
    ]);
  });

  it("keep what they say where several parents fit", () => {
    const named = ["left.decoder.layers.0.norm.weight", "right.decoder.layers.0.norm.weight"];
    expect(pathsOf(products(["/decoder/layers.0/fc1/MatMul"], named))).toEqual(["decoder.layers.0.fc1"]);
  });

  it("keep what they say where the tree knows the path as it is", () => {
    const named = ["decoder.layers.0.norm.weight", "other.decoder.layers.0.norm.weight"];
    expect(pathsOf(products(["/decoder/layers.0/fc1/MatMul"], named))).toEqual(["decoder.layers.0.fc1"]);
  });

  it("repeat the name of a Sequential before its children", () => {
    const nodes = ["/layer/layer.0/MatMul", "/body/net/net.1/net.1.2/MatMul", "/layers.0/mlp/mlp.0/MatMul"];
    expect(pathsOf(products(nodes))).toEqual(["layer.0", "body.net.1.2", "layers.0.mlp.0"]);
  });

  it("are told apart where a module is called more than once", () => {
    const text = `f (float[n,2] x) => (float[n,2] y) <float[2,2] w = {1, 2, 3, 4}> {
      ["/fc/MatMul"] a = MatMul (x, w)
      ["/fc/MatMul_1"] y = MatMul (a, w)
    }`;
    expect(pathsOf(text)).toEqual(["fc", "fc#1"]);
  });
});

/** Parameters of a MultiheadAttention of width 2: packed, as PyTorch keeps them. */
const packed = `float[6,2] "attn.in_proj_weight" = {${Array.from({ length: 12 }, (_, i) => i)}},
  float[6] "attn.in_proj_bias" = {1, 2, 3, 4, 5, 6}, float[2,2] val_3 = {1, 2, 3, 4}`;

/** A node in the scope of `attn`. */
const inAttention = `#! {"metadata": {"pkg.torch.onnx.name_scopes": "['', 'attn', 'linear']"}}
`;

describe("products of one module with weights of its own", () => {
  it("are no calls of each other: the output layer of an attention stands beside its packed projection", () => {
    const text = `f (float[n,2] x) => (float[n,2] y) <${packed}> {
      t = Transpose <perm = [1, 0]> ("attn.in_proj_weight")
      ${inAttention} a = MatMul (x, t)
      q, k, v = Split <axis = 1, num_outputs = 3> (a)
      ${inAttention} y = MatMul (v, val_3)
    }`;
    expect(pathsOf(text)).toEqual(["attn", "attn.out_proj"]);
  });

  it("are the three projections of an attention, whose rows of one weight and bias a Split takes", () => {
    const part = (name: string): string => `
      t${name} = Transpose <perm = [1, 0]> (w${name})
      ${inAttention} m${name} = MatMul (x, t${name})
      ${name} = Add (m${name}, b${name})`;
    const text = `f (float[n,2] x) => (float[n,2] y) <${packed}> {
      wq, wk, wv = Split <axis = 0, num_outputs = 3> ("attn.in_proj_weight")
      bq, bk, bv = Split <axis = 0, num_outputs = 3> ("attn.in_proj_bias")
      ${part("q")}
      ${part("k")}
      ${part("v")}
      s = Add (q, k)
      y = Add (s, v)
    }`;
    const sites = findSites(parseModel(text).graph);
    expect(sites.map(({ path }) => path)).toEqual(["attn.q_proj", "attn.k_proj", "attn.v_proj"]);
    expect(sites.map(({ weight }) => weight.rows)).toEqual([
      { start: 0, size: 2 },
      { start: 2, size: 2 },
      { start: 4, size: 2 },
    ]);
    expect(sites.map(({ bias }) => bias?.rows?.start)).toEqual([0, 2, 4]);
  });

  it("are named by their part of the bias where they stand in another order", () => {
    const part = (name: string): string => `${inAttention} m${name} = MatMul (x, w${name})
      ${name} = Add (m${name}, b${name})`;
    const weights = ["q", "k", "v"].map((name, i) => `float[4,2] w${name} = {1, 2, 3, 4, 5, 6, 7, ${i}}`);
    const text = `f (float[n,4] x) => (float[n,2] y) <
      ${weights.join(", ")}, float[6] "attn.in_proj_bias" = {1, 2, 3, 4, 5, 6}
    > {
      bq, bk, bv = Split <axis = 0, num_outputs = 3> ("attn.in_proj_bias")
      ${part("k")}
      ${part("v")}
      ${part("q")}
      s = Add (q, k)
      y = Add (s, v)
    }`;
    expect(pathsOf(text)).toEqual(["attn.k_proj", "attn.v_proj", "attn.q_proj"]);
  });

  it("are called after their parameter where that has a name of its own", () => {
    const weights = `float[2,2] "mix.up" = {1, 2, 3, 4}, float[2,2] "mix.down_weight" = {5, 6, 7, 8}`;
    const text = `f (float[n,2] x) => (float[n,2] y) <${weights}> {
      a = MatMul (x, "mix.up")
      y = MatMul (a, "mix.down_weight")
    }`;
    expect(pathsOf(text)).toEqual(["mix.up", "mix.down"]);
  });

  it("are one module called twice where an exporter turned one weight into two equal ones", () => {
    const scope = `#! {"metadata": {"pkg.torch.onnx.name_scopes": "['', 'fc', 'linear']"}}
`;
    const text = `f (float[n,2] x) => (float[n,2] y) <float[2,2] val_1 = {1, 2, 3, 4}, float[2,2] val_2 = {1, 2, 3, 4}> {
      ${scope} a = MatMul (x, val_1)
      ${scope} y = MatMul (a, val_2)
    }`;
    expect(pathsOf(text)).toEqual(["fc", "fc#1"]);
  });
});

describe("names of model builders", () => {
  it("are those of the models that they build, without the operator and with their name for the attention", () => {
    const text = `f (float[n,2] x) => (float[n,2] y) <
      float[2,2] "model.layers.0.attn.q_proj.MatMul.weight" = {1, 2, 3, 4},
      float[2,2] "model.layers.0.mlp.up_proj.MatMul.weight" = {5, 6, 7, 8},
      float[2,2] "model.layers.1.attn.Wo.weight" = {5, 6, 7, 9}
    > {
      a = MatMul (x, "model.layers.0.attn.q_proj.MatMul.weight")
      b = MatMul (a, "model.layers.0.mlp.up_proj.MatMul.weight")
      y = Gemm <transB = 1> (b, "model.layers.1.attn.Wo.weight")
    }`;
    expect(pathsOf(text)).toEqual([
      "model.layers.0.self_attn.q_proj",
      "model.layers.0.mlp.up_proj",
      "model.layers.1.attn.Wo",
    ]);
  });
});

describe("numbers that the tracing exporter puts behind names", () => {
  const text = (second: string): string => `f (float[n,2] x) => (float[n,2] y) <
    float[2,2] "onnx::MatMul_1" = {1, 2, 3, 4}, float[2,2] "onnx::MatMul_2" = {5, 6, 7, 8},
    float[2,2] "cell.weight_hh" = {1, 2, 3, 5}, float[2,2] "cell.weight_ih" = {1, 2, 3, 6}
  > {
    ["/block/fc/MatMul"] a = MatMul (x, "onnx::MatMul_1")
    ["/block/fc_1/MatMul"] b = MatMul (a, ${second})
    ["/cell/Gemm"] c = Gemm <transB = 1> (b, "cell.weight_hh")
    ["/cell/Gemm_1"] d = Gemm <transB = 1> (c, "cell.weight_ih")
    ["/cell_1/Gemm"] e = Gemm <transB = 1> (d, "cell.weight_hh")
    ["/cell_1/Gemm_1"] y = Gemm <transB = 1> (e, "cell.weight_ih")
  }`;
  const cells = ["cell.weight_hh", "cell.weight_ih", "cell.weight_hh#1", "cell.weight_ih#1"];

  it("count calls of one module", () => {
    expect(pathsOf(text('"onnx::MatMul_1"'))).toEqual(["block.fc", "block.fc#1", ...cells]);
  });

  it("are part of the name where the weight is another", () => {
    expect(pathsOf(text('"onnx::MatMul_2"'))).toEqual(["block.fc", "block.fc_1", ...cells]);
  });
});

describe("names of the dynamo exporter", () => {
  const scoped = (scopes: string, weight: string): string => `f (float[n,2] x) => (float[n,2] y) <
    float[2,2] ${weight} = {1, 2, 3, 4}
  > {
    #! {"metadata": {"pkg.torch.onnx.name_scopes": "${scopes}"}}
    ["node_linear"] y = MatMul (x, ${weight})
  }`;

  it("stand in the scopes, before the call inside the innermost module", () => {
    expect(
      pathsOf(scoped("['', 'model', 'model.layers.0', 'model.layers.0.fc', 'linear']", "val_3")),
    ).toEqual(["model.layers.0.fc"]);
    expect(pathsOf(scoped(`['', \\"it's\\", 'linear']`, "val_3"))).toEqual(["it's"]);
  });

  it("yield to the weight's own name", () => {
    expect(pathsOf(scoped("['', 'wrapper', 'linear']", '"model.wrapper.weight"'))).toEqual(["model.wrapper"]);
  });

  it("are no help at the top, where the weight's name has to do", () => {
    expect(pathsOf(scoped("['', 'linear']", "val_3"))).toEqual(["val_3"]);
  });
});

describe("what is a site", () => {
  const weights = "float[3,2] w = {1, 2, 3, 4, 5, 6}, float[2] c = {1, 2}";
  const kinds = (body: string): string[] =>
    findSites(
      parseModel(`f (float[n,3] x, float[2,3] z, int64[n] ids) => (float[n,2] y) <${weights}> { ${body} }`)
        .graph,
    ).map((site) => `${site.kind} ${site.bias === undefined ? "" : "with bias"}`.trim());

  it("a product with a constant matrix on the right, with or without a bias", () => {
    expect(kinds("y = MatMul (x, w)")).toEqual(["linear"]);
    expect(kinds("a = MatMul (x, w) y = Add (a, c)")).toEqual(["linear with bias"]);
    expect(kinds("a = MatMul (x, w) y = Add (c, a)")).toEqual(["linear with bias"]);
    expect(kinds("y = Gemm (x, w, c)")).toEqual(["linear with bias"]);
    expect(
      kinds("t = Transpose <perm = [1, 0]> (w) u = Transpose <perm = [1, 0]> (t) y = MatMul (x, u)"),
    ).toEqual(["linear"]);
  });

  it("not the product of two values, nor one with a constant on the left", () => {
    expect(kinds("t = Transpose <perm = [1, 0]> (z) y = MatMul (x, t)")).toEqual([]);
    expect(kinds("y = MatMul (w, z)")).toEqual([]);
  });

  it("not one that scales or turns its operand", () => {
    expect(kinds("y = Gemm <alpha = 2.0> (x, w, c)")).toEqual([]);
    expect(kinds("y = Gemm <transA = 1> (x, w, c)")).toEqual([]);
    // A scaled bias is none of the layer.
    expect(kinds("y = Gemm <beta = 2.0> (x, w, c)")).toEqual(["linear"]);
  });

  it("a bias only where nothing else reads the product", () => {
    expect(kinds("a = MatMul (x, w) b = Add (a, c) y = Add (a, b)")).toEqual(["linear"]);
  });

  it("a table that ids gather rows of", () => {
    expect(kinds("y = Gather (w, ids)")).toEqual(["embedding"]);
    expect(kinds("y = Gather <axis = 1> (w, ids)")).toEqual([]);
  });
});
