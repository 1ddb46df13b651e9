/** If backwards: what branches read, results of several shapes, branches in branches and in loops. */
import { describe, expect, test } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.ts";
import { makeGradient } from "../../src/compile/gradient.ts";
import type { Node } from "../../src/ir/node.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { type Environment, evaluateGraph } from "../../src/ops/evaluate.ts";
import { inferModel } from "../../src/ops/infer.ts";
import { fromNumbers } from "../../src/ops/ndarray.ts";
import { difference } from "../harness/compare.ts";
import { gradientCase } from "../harness/gradient.ts";
import { runModel } from "../harness/runtime.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";
import { checkText } from "./check-text.ts";
import { buildText, type TextCase } from "./text-case.ts";

/** The case under either truth of its input "c". */
function eitherWay(description: string, spec: TextCase): void {
  for (const truth of [1, 0])
    checkText(`${description}, ${truth === 1}`, { ...spec, values: { ...spec.values, c: [truth] } });
}

eitherWay("both branches read one value, one more each", {
  text: `f (bool c, float[n, 2] x, float[2] v, float[2] w) => (float[n, 2] y) {
    y = If (c) <
      then_branch = yes () => (float[n, 2] a) { p = Mul (x, v) a = Sin (p) },
      else_branch = no () => (float[n, 2] d) { q = Exp (x) d = Mul (q, w) }
    >
  }`,
  sizes: { n: 2 },
});

eitherWay("results of different shapes, and one of whole numbers", {
  text: `f (bool c, float[n, 2] x) => (float[k, 2] y, float[n, 2] z, int64[m] s) {
    y, z, s = If (c) <
      then_branch = yes () => (float[n, 2] a, float[n, 2] b, int64[2] e) { a = Sin (x) b = Exp (x) e = Shape (x) },
      else_branch = no () => (float[j, 2] d, float[n, 2] g, int64[1] h) {
        d = Concat <axis = 0> (x, x)
        g = Mul (x, x)
        h = Constant <value_ints = [1]> ()
      }
    >
  }`,
  sizes: { n: 2 },
});

eitherWay("a branch that is a constant, one that passes a value on", {
  text: `f (bool c, float[2] x, float[2] w) => (float[2] y, float[2] z) {
    y, z = If (c) <
      then_branch = yes () => (float[2] a, float[2] b) { a = Identity (x) b = Mul (x, w) },
      else_branch = no () => (float[2] d, float[2] e) {
        d = Constant <value = float[2] {1, 2}> ()
        e = Mul (x, x)
      }
    >
  }`,
});

const products = `f (bool c, float[n, 2] x, float[2, 3] w, float[2, 3] u) => (float[n, 3] y) {
  y = If (c) <
    then_branch = yes () => (float[n, 3] a) { p = MatMul (x, w) a = Tanh (p) },
    else_branch = no () => (float[n, 3] d) { q = MatMul (x, u) r = MatMul (x, w) s = Mul (q, r) d = Sin (s) }
  >
}`;

eitherWay("products", { text: products, sizes: { n: 2 } });

eitherWay("a branch in a branch", {
  text: `f (bool c, bool e, float[2] x, float[2] w) => (float[2] y) {
    y = If (c) <
      then_branch = yes () => (float[2] a) {
        p = Mul (x, w)
        a = If (e) <
          then_branch = inner () => (float[2] g) { g = Mul (p, x) },
          else_branch = other () => (float[2] h) { h = Sin (w) }
        >
      },
      else_branch = no () => (float[2] d) { d = Exp (x) }
    >
  }`,
  values: { e: [1] },
});

checkText("a branch in a loop that chooses by the iteration", {
  text: `f (int64 count, float[2] x, float[2] w) => (float[2] y) {
    y = Loop (count, , x) <
      body = step (int64 i, bool go, float[2] s) => (bool on, float[2] next) {
        on = Identity (go)
        two = Constant <value_int = 2> ()
        zero = Constant <value_int = 0> ()
        rest = Mod (i, two)
        even = Equal (rest, zero)
        next = If (even) <
          then_branch = yes () => (float[2] a) { a = Mul (s, w) },
          else_branch = no () => (float[2] d) { d = Sin (s) }
        >
      }
    >
  }`,
  values: { count: [3] },
});

eitherWay("a loop in a branch", {
  text: `f (bool c, int64 count, float[2] x, float[2] w) => (float[2] y) {
    y = If (c) <
      then_branch = yes () => (float[2] a) {
        a = Loop (count, , x) <
          body = step (int64 i, bool go, float[2] s) => (bool on, float[2] next) {
            on = Identity (go)
            p = Mul (s, w)
            next = Sin (p)
          }
        >
      },
      else_branch = no () => (float[2] d) { d = Mul (x, w) }
    >
  }`,
  values: { count: [3] },
});

describe("what is emitted", () => {
  const inside = (node: Node | undefined): string[] =>
    (node?.subgraphs() ?? []).flatMap((body) => [...body.nodes()].map(({ op }) => op));

  test("products are not computed again", () => {
    const { model } = gradientCase(buildText({ text: products, sizes: { n: 2 }, values: { c: [1] } }));
    const [, backward] = [...model.graph.nodes()].filter(({ op }) => op === "If");
    const count = inside(backward).filter((op) => op === "MatMul" || op === "Gemm").length;
    // One for each operand of each of the three products.
    expect(count).toBe(6);
  });

  test("a condition that is known leaves no If", () => {
    const { model } = buildText({
      text: products.replace("bool c, ", "").replace("{\n", "{\n  c = Constant <value = bool {1}> ()\n"),
      sizes: { n: 2 },
    });
    const gradient = makeGradient(model, {});
    expect([...gradient.model.graph.nodes()].map(({ op }) => op)).not.toContain("If");
  });

  test("what only the branch that is never taken lacks is no obstacle", () => {
    const { model } = buildText({
      text: `f (float[2] x) => (float[2] y) {
        c = Constant <value = bool {1}> ()
        y = If (c) <
          then_branch = yes () => (float[2] a) { a = Sin (x) },
          else_branch = no () => (float[2] d) { d = Bernoulli (x) }
        >
      }`,
    });
    expect(() => makeGradient(model, {})).not.toThrow();
    expect(() =>
      makeGradient(
        buildText({
          text: `f (bool c, float[2] x) => (float[2] y) {
        y = If (c) <
          then_branch = yes () => (float[2] a) { a = Sin (x) },
          else_branch = no () => (float[2] d) { d = Bernoulli (x) }
        >
      }`,
        }).model,
        {},
      ),
    ).toThrow(/Bernoulli/);
  });
});

/** The model with the gradient of its results for gradients of ones, as the runtime computes both. */
async function valuesAndGradient(spec: TextCase): Promise<readonly (readonly number[])[]> {
  const built = buildText(spec);
  const { graph } = built.model;
  const [y] = graph.outputs;
  if (y === undefined) throw new Error("the model has an output");
  const b = new OpBuilder({ graph }, 20);
  const [gradient] = differentiate(graph, [{ value: y, gradient: b.fillLike(y, 1) }], built.variables, 20);
  if (gradient === undefined) throw new Error("there is a gradient");
  graph.addOutput(gradient);
  verifyModel(built.model);
  const results = await runModel(built.model, built.feeds);
  return results.map(({ numbers }) => Array.from(numbers));
}

describe("draws go back as they were drawn", () => {
  const dropout = `ratio = Constant <value_float = 0.5> ()
      yes = Constant <value = bool {1}> ()`;
  const ones = new Array<number>(64).fill(1);

  test("in a branch", async () => {
    const [values, gradient] = await valuesAndGradient({
      text: `f (bool c, float[n] x) => (float[n] y) {
        ${dropout}
        y = If (c) <
          then_branch = a () => (float[n] p) { p = Dropout (x, ratio, yes) },
          else_branch = b () => (float[n] q) { q = Sin (x) }
        >
      }`,
      sizes: { n: 64 },
      values: { c: [1], x: ones },
    });
    expect(new Set(values)).toEqual(new Set([0, 2]));
    expect(gradient).toEqual(values);
  });

  test("in a loop, also where the draw grows", async () => {
    const [values, gradient] = await valuesAndGradient({
      text: `f (int64 count, float[n] x) => (float y) {
        ${dropout}
        z = Loop (count, , x) <
          body = step (int64 i, bool go, s) => (bool on, next) {
            on = Identity (go)
            p = Dropout (s, ratio, yes)
            next = Concat <axis = 0> (p, x)
          }
        >
        y = ReduceSum <keepdims = 0> (z)
      }`,
      sizes: { n: 64 },
      values: { count: [3], x: ones },
    });
    // The sum is linear in x, whose elements are all 1.
    expect(gradient?.reduce((sum, each) => sum + each, 0)).toBeCloseTo(values?.[0] ?? 0, 3);
    expect(new Set(gradient).size).toBeGreaterThan(2);
  });
});

test("the gradient of a gradient model runs, with names of its own", async () => {
  const { model, feeds } = buildText({ text: products, sizes: { n: 2 }, values: { c: [1] } });
  const once = makeGradient(model, { wrt: ["x"] });
  const twice = makeGradient(once.model, { of: [once.gradients.x ?? ""], wrt: ["x", "w"] });
  expect(twice.gradients).toEqual({ x: "grad.grad.grad.x", w: "grad.w" });
  verifyModel(twice.model);
  const arrays = [...feeds.values()];
  const y = fromNumbers("float32", [2, 3], [1, 2, 3, 4, 5, 6]);
  const given: Environment = new Map();
  twice.model.graph.inputs.forEach((input, at) => {
    given.set(input, [...arrays, y, arrays[1] ?? y][at] ?? y);
  });
  inferModel(twice.model);
  const wanted = evaluateGraph(twice.model.graph, given, { opset: 20 });
  const got = await runModel(twice.model, given);
  got.forEach((array, at) => {
    const expected = wanted[at];
    if (expected === undefined) throw new Error(`output ${at} is missing`);
    expect(difference(array, expected, runtimeTolerance("float32"))).toBeUndefined();
  });
});
