/** FlexAttention: bodies on scores and weights, shared heads, and what the runtime makes of its decomposition. */
import { describe, expect, test } from "vitest";
import { makeGradient } from "../../src/compile/gradient.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { Random } from "../../src/data/random.ts";
import { isFloat } from "../../src/ir/dtype.ts";
import type { Model } from "../../src/ir/model.ts";
import { type Environment, evaluateGraph } from "../../src/ops/evaluate.ts";
import { fromNumbers, type NDArray } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";
import { difference } from "../harness/compare.ts";
import { runModel } from "../harness/runtime.ts";

const header = '<ir_version: 13, opset_import: ["" : 26, "ai.onnx.preview" : 1]>';
const operands = "float[2, 4, 3, 4] q, float[2, 2, 5, 4] k, float[2, 2, 5, 6] v, float s";

/** The same attention with bodies, and in operators that every runtime has. */
const pairs = [
  {
    name: "no bodies",
    flex: "y = ai.onnx.preview.FlexAttention (q, k, v)",
    score: "b = Identity (a)",
    weight: "d = Identity (c)",
    scale: 0.5,
  },
  {
    name: "a cap that reads a value around it, and a scale",
    flex: `y = ai.onnx.preview.FlexAttention <scale = 0.3, score_mod = cap (float[B, H, L, S] t) => (float[B, H, L, S] u) {
      t1 = Div (t, s) t2 = Tanh (t1) u = Mul (t2, s)
    }> (q, k, v)`,
    score: "a1 = Div (a, s) a2 = Tanh (a1) b = Mul (a2, s)",
    weight: "d = Identity (c)",
    scale: 0.3,
  },
  {
    name: "weights squared, with a constant of the body",
    flex: `y = ai.onnx.preview.FlexAttention <prob_mod = square (float[B, H, L, S] t) => (float[B, H, L, S] u) <float two = {2.0}> {
      u = Pow (t, two)
    }> (q, k, v)`,
    score: "b = Identity (a)",
    weight: "d = Mul (c, c)",
    scale: 0.5,
  },
] as const;

/** Results and gradients of both, by one draw of everything. */
function run(model: Model): { arrays: NDArray[]; feeds: Environment; gradient: Model } {
  const { model: gradient } = makeGradient(model);
  const random = new Random(3);
  const feeds: Environment = new Map();
  for (const input of gradient.graph.inputs) {
    const shape = input.tensorType?.shape?.map(Number) ?? [];
    const size = shape.reduce((product, dim) => product * dim, 1);
    const array = fromNumbers(
      "float32",
      shape,
      Float64Array.from({ length: size }, () => 0.5 + random.uniform()),
    );
    feeds.set(input, array);
  }
  return { arrays: evaluateGraph(gradient.graph, feeds, { opset: gradient.opset }), feeds, gradient };
}

describe.each(pairs)("$name", ({ flex, score, weight, scale }) => {
  const own = (): Model => parseModel(`${header} f (${operands}) => (float[2, 4, 3, 6] y) { ${flex} }`);
  const other = parseModel(`${header} f (${operands}) => (float[2, 4, 3, 6] y) {
    axis = Constant <value = int64[1] {2}> ()
    k1 = Unsqueeze (k, axis) v1 = Unsqueeze (v, axis)
    twice = Constant <value = int64[5] {1, 1, 2, 1, 1}> ()
    k2 = Expand (k1, twice) v2 = Expand (v1, twice)
    ks = Constant <value = int64[4] {2, 4, 5, 4}> () vs = Constant <value = int64[4] {2, 4, 5, 6}> ()
    k3 = Reshape (k2, ks) v3 = Reshape (v2, vs)
    kt = Transpose <perm = [0, 1, 3, 2]> (k3)
    p = MatMul (q, kt) r = Constant <value = float {${scale}}> () a = Mul (p, r)
    ${score} c = Softmax <axis = -1> (b) ${weight} y = MatMul (d, v3)
  }`);
  test("values and gradients are those of the operators that it stands for", () => {
    const [left, right] = [run(own()), run(other)];
    expect(left.arrays).toHaveLength(right.arrays.length);
    left.arrays.forEach((array, index) => {
      const wanted = right.arrays[index];
      expect(wanted && difference(array, wanted, { absolute: 1e-5, relative: 1e-5 })).toBeUndefined();
    });
  });
  test("the gradient model runs, and says the same", async () => {
    const { arrays, feeds, gradient } = run(own());
    expect([...gradient.graph.allNodes()].every(({ domain }) => domain === "")).toBe(true);
    const got = await runModel(gradient, feeds);
    gradient.graph.outputs.forEach(({ tensorType }, index) => {
      if (tensorType === undefined || !isFloat(tensorType.dtype)) return;
      const [actual, wanted] = [got[index], arrays[index]];
      expect(
        actual && wanted && difference(actual, wanted, { absolute: 1e-4, relative: 1e-4 }),
      ).toBeUndefined();
    });
  });
  test("a model that is prepared holds none", () => {
    const model = own();
    runPasses(model, "infer-shapes,canonicalize");
    expect([...model.graph.allNodes()].every(({ domain }) => domain === "")).toBe(true);
  });
});
