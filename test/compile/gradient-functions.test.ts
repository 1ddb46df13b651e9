/** Gradients of models with local functions: called in bodies, holding bodies, nested, overloaded, of other opsets. */
import { describe, expect, test } from "vitest";
import { makeGradient } from "../../src/compile/gradient.ts";
import { runPasses } from "../../src/compile/passes.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { type Environment, evaluateGraph } from "../../src/ops/evaluate.ts";
import { inferModel } from "../../src/ops/infer.ts";
import type { NDArray } from "../../src/ops/ndarray.ts";
import { parseModel } from "../../src/text/parse.ts";
import { buildText, type TextCase } from "../autodiff/text-case.ts";
import { checkGradient, checkRuntime } from "../harness/check-op.ts";
import { difference } from "../harness/compare.ts";
import type { BuiltCase } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";
import { runtimeTolerance } from "../harness/tolerance.ts";

const cases: Readonly<Record<string, TextCase>> = {
  "a loop in a function, which captures an operand, called twice": {
    text: `<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
    f (int64 count, float[n] x, float[n] w) => (float[n] y) {
      a = local.power <slope = 0.5> (count, x, w)
      y = local.power (count, a, w)
    }
    <domain: "local", opset_import: ["" : 20]>
    power <slope: float = 0.25> (count, x, w) => (y) {
      y = Loop (count, , x) <
        body = step (int64 i, bool go, s) => (bool on, next) {
          on = Identity (go)
          p = Mul (s, w)
          q = Sin (p)
          next = LeakyRelu <alpha: float = @slope> (q)
        }
      >
    }`,
    sizes: { n: 2 },
    values: { count: [2], x: [1.1, 0.7], w: [0.9, 1.3] },
  },
  "calls in branches of both kinds, one overloaded, one nested with a default that is passed on": {
    text: `<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
    f (bool c, float[n] x, float[n] w) => (float[n] y) {
      y = If (c) <
        then_branch = yes () => (float[n] a) { a = local.mix:two (x, w) },
        else_branch = no () => (float[n] d) { d = local.mix (x) }
      >
    }
    <domain: "local", opset_import: ["" : 20, "local" : 1]>
    mix <k: float = 0.5> (x) => (y) { p = local.act <k: float = @k> (x) y = Mul (p, x) }
    <domain: "local", overload: "two", opset_import: ["" : 20, "local" : 1]>
    mix (x, w) => (y) { p = Mul (x, w) y = local.act (p) }
    <domain: "local", opset_import: ["" : 20]>
    act <k: float = 2.0> (x) => (p) { p = Elu <alpha: float = @k> (x) }`,
    sizes: { n: 2 },
    values: { c: [1], x: [0.6, -0.7] },
  },
  "a function of an older opset, in the body of a scan": {
    text: `<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
    f (float[n] s0, float[t, n] xs) => (float[n] s, float[t] ys) {
      s, ys = Scan <num_scan_inputs = 1, body = step (float[n] a, float[n] x) => (float[n] b, float y) {
        b, y = local.cell (a, x)
      }> (s0, xs)
    }
    <domain: "local", opset_import: ["" : 11]>
    cell (a, x) => (b, y) {
      p = Mul (a, x)
      b = Tanh (p)
      y = ReduceSum <axes = [0], keepdims = 0> (b)
    }`,
    sizes: { n: 2, t: 3 },
  },
};

/** The case with its calls replaced, which our evaluator runs. */
function inlined(spec: TextCase): BuiltCase {
  const model = parseModel(spec.text);
  runPasses(model, "inline-functions,upgrade-opset,lift-constants");
  inferModel(model);
  const built = buildText({ ...spec, text: spec.text.split("<domain:")[0] ?? "" });
  const feeds: Environment = new Map(
    model.graph.inputs.map((input, at): [typeof input, NDArray] => {
      const array = [...built.feeds.values()][at];
      if (array === undefined) throw new Error(`"${input.name}" has no array`);
      return [input, array];
    }),
  );
  const variables = model.graph.inputs.filter((input) => input.tensorType?.dtype === "float32");
  return {
    model,
    opset: model.opset,
    feeds,
    variables,
    outputs: [...model.graph.outputs],
    sizes: built.sizes,
  };
}

/** The runtime does not take a function of another opset in a body. */
const runs = (spec: TextCase): boolean => !spec.text.includes('["" : 11]');

describe.each(Object.entries(cases))("%s", (_, spec) => {
  test.runIf(runs(spec))("the calls compute what their replacements do", async () => {
    const replaced = inlined(spec);
    const model = parseModel(spec.text);
    const arrays = [...replaced.feeds.values()];
    const given: Environment = new Map();
    model.graph.inputs.forEach((input, at) => {
      const array = arrays[at];
      if (array !== undefined) given.set(input, array);
    });
    const [wanted, got] = [await runModel(model, given), await runModel(replaced.model, replaced.feeds)];
    wanted.forEach((array, at) => {
      const other = got[at];
      if (other === undefined) throw new Error(`output ${at} is missing`);
      expect(difference(other, array, runtimeTolerance("float32"))).toBeUndefined();
    });
  });

  test("gradient", () => {
    checkGradient(() => inlined(spec));
  });

  test("the gradient model has no function left and runs", async () => {
    const source = parseModel(spec.text);
    const functions = source.functions.size;
    const { model } = makeGradient(source);
    expect(model.functions.size).toBe(0);
    expect(source.functions.size).toBe(functions);
    verifyModel(model);
    inferModel(model);
    const built = inlined(spec);
    // The results have the shapes of the gradients that flow into them.
    const arrays = [...built.feeds.values(), ...evaluateGraph(built.model.graph, built.feeds, built)];
    const feeds: Environment = new Map();
    model.graph.inputs.forEach((input, at) => {
      const array = arrays[at];
      if (array !== undefined) feeds.set(input, array);
    });
    await checkRuntime({ ...built, model, feeds, opset: model.opset, outputs: [...model.graph.outputs] });
  });

  test("a pipeline keeps the functions", () => {
    const model = parseModel(spec.text);
    const functions = [...model.functions.keys()];
    runPasses(model, "infer-shapes,canonicalize,fold,cse,dce");
    expect([...model.functions.keys()]).toEqual(functions);
    verifyModel(model);
  });
});
