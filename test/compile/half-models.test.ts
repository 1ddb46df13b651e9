/** Models of 16-bit weights, and mixed ones: training computes in float32 beside the file's own weights, and merging keeps its types. */
import { describe, expect, it } from "vitest";
import { basePath } from "../../src/adapt/select.ts";
import { type Compiled, compileGraphs } from "../../src/compile/compile.ts";
import { mergeModel } from "../../src/compile/merge-model.ts";
import { runConstantGraph } from "../../src/compile/run-constant.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Model } from "../../src/ir/model.ts";
import { withRole } from "../../src/ir/role.ts";
import { parseModel } from "../../src/text/parse.ts";
import { randomBatch } from "../oracle/random-batch.ts";
import { checkDirection, threeSteps } from "../oracle/three-steps.ts";

const half = `
f (float16[batch,3] x) => (float16[batch,2] y) <
  float16[4,3] "up.weight" = {13704, 14995, 13641, 48438, 15166, 14116, 47180, 14502, 13781, 13493, 10055, 14432},
  float16[4] "up.bias" = {47588, 45367, 47031, 14538},
  float16[4,2] "onnx::MatMul_1" = {8235, 46185, 15661, 15367, 49516, 49038, 45464, 46785}
> {
  h = Gemm <transB = 1> (x, "up.weight", "up.bias")
  a = Tanh (h)
  ["/down/MatMul"] y = MatMul (a, "onnx::MatMul_1")
}`;

/** As converters write it that keep norms in float32. */
const mixed = `
f (float[batch,3] x) => (float[batch,2] y) <
  float16[4,3] "up.weight" = {13704, 14995, 13641, 48438, 15166, 14116, 47180, 14502, 13781, 13493, 10055, 14432},
  float16[4] "up.bias" = {47588, 45367, 47031, 14538},
  float16[4] "norm.weight" = {10518, 46254, 47681, 46109},
  float16[4,2] "onnx::MatMul_1" = {8235, 46185, 15661, 15367, 49516, 49038, 45464, 46785}
> {
  c = Cast <to = 10> (x)
  h = Gemm <transB = 1> (c, "up.weight", "up.bias")
  w = Cast <to = 1> (h)
  n = Cast <to = 1> ("norm.weight")
  l = LayerNormalization (w, n)
  d = Cast <to = 10> (l)
  ["/down/MatMul"] p = MatMul (d, "onnx::MatMul_1")
  y = Cast <to = 1> (p)
}`;

function compiledWith(source: Model, options: Record<string, unknown> = {}): Compiled {
  return compileGraphs(source, {
    method: { name: "lora", options: { target_modules: "all-linear", r: 2, ...options } },
    optimizer: { name: "adamw", options: { lr: 1e-2 } },
    task: "feature",
  });
}

const dtypesOf = (graph: Graph): (string | undefined)[] =>
  [...graph.initializers].map((value) => value.initializer?.dtype);

describe.each([
  ["half", half],
  ["mixed", mixed],
])("%s", (_, text) => {
  const source = parseModel(text);

  it.each([{}, { bias: "all" }, { modules_to_save: ["up"], target_modules: ["down"] }])(
    "trains with %o",
    async (options) => {
      const compiled = compiledWith(source, options);
      const { train, grad } = compiled.graphs;
      const batch = randomBatch(train.graph, { batch: 5, seq: 1, seed: 1 });
      const { losses, before, after } = await threeSteps(compiled, batch);
      expect(losses.every(Number.isFinite)).toBe(true);
      for (const [key, array] of before) expect(after.get(key)?.numbers, key).not.toEqual(array.numbers);
      for (const param of withRole(grad.graph.inputs, "param"))
        expect(param.tensorType?.dtype).toBe("float32");
      await checkDirection(compiled, batch);
    },
  );

  it("refers to the weights of the file as they are", () => {
    const { train } = compiledWith(source).graphs;
    const held = [...train.graph.initializers].filter(({ initializer }) => (initializer?.size ?? 0) > 4);
    for (const name of ["up.weight", "onnx::MatMul_1"]) {
      const own = [...source.graph.initializers].find((value) => value.name === name)?.initializer;
      expect(held.some(({ initializer }) => initializer === own)).toBe(true);
    }
    const computes = [...train.graph.nodes()].filter(({ op }) => op !== "Cast");
    for (const output of computes.flatMap((node) => node.outputs))
      expect(output?.tensorType?.dtype).not.toBe("float16");
  });

  it("merges into the types of the file", async () => {
    const compiled = compiledWith(source, { init_lora_weights: false });
    const merged = await mergeModel(source, {
      adapter: compiled.plan.adapter,
      paths: compiled.plan.sites.map(basePath),
      tensors: new Map([...compiled.state.tensors].filter(([key]) => compiled.parameterKeys.has(key))),
      run: runConstantGraph,
    });
    expect(dtypesOf(merged.graph)).toEqual(dtypesOf(source.graph));
    const [before, after] = [source, merged].map(({ graph }) =>
      [...graph.initializers].map((value) => value.initializer?.bytes()),
    );
    expect(after).not.toEqual(before);
  });
});
