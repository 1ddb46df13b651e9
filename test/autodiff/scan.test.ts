/** Scan backwards: axes and directions, states, captures, lengths that are known at run time only. */
import { describe, expect, test } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.ts";
import type { Node } from "../../src/ir/node.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { fromNumbers } from "../../src/ops/ndarray.ts";
import { gradientCase } from "../harness/gradient.ts";
import { runModel } from "../harness/runtime.ts";
import { checkText } from "./check-text.ts";
import { buildText, type TextCase } from "./text-case.ts";

const axes = ["0", "1", "-1"];
const directions = [0, 1];

/** One scanned operand and one stacked result, both on any axis and in any direction. */
function along(input: string, output: string, forth: number, back: number): TextCase {
  const shape = (axis: string): string => (axis === "0" ? "float[t, 2]" : "float[2, t]");
  return {
    text: `f (float[2] s0, ${shape(input)} xs, float[2] w) => (float[2] s, ${shape(output)} ys) {
      s, ys = Scan <num_scan_inputs = 1, scan_input_axes = [${input}], scan_output_axes = [${output}],
        scan_input_directions = [${forth}], scan_output_directions = [${back}],
        body = step (float[2] a, float[2] x) => (float[2] b, float[2] y) {
          c = Mul (a, w)
          d = Add (c, x)
          b = Tanh (d)
          y = Mul (b, x)
        }> (s0, xs)
    }`,
    sizes: { t: 3 },
  };
}

describe("axes and directions", () => {
  for (const input of axes)
    for (const output of axes)
      for (const forth of directions)
        for (const back of directions) {
          if (input !== output && (forth === 1) !== (back === 1)) continue;
          checkText(`in ${input} ${forth}, out ${output} ${back}`, along(input, output, forth, back));
        }
});

const recurrence = `f (float[b, 2] h0, float[t, b, 3] xs, float[3, 2] w, float[2, 2] r, float[2] bias) => (float[b, 2] h, float[t, b, 2] hs) {
  h, hs = Scan <num_scan_inputs = 1, scan_input_directions = [1], scan_output_directions = [1],
    body = step (float[b, 2] before, float[b, 3] x) => (float[b, 2] after, float[b, 2] out) {
      p = MatMul (x, w)
      q = MatMul (before, r)
      s = Add (p, q)
      u = Add (s, bias)
      after = Tanh (u)
      out = Identity (after)
    }> (h0, xs)
}`;

describe("states and captures", () => {
  checkText("a recurrent layer", { text: recurrence, sizes: { t: 4, b: 2 } });
  checkText("a recurrent layer over one step", { text: recurrence, sizes: { t: 1, b: 2 } });
  checkText("a recurrent layer over no batch", { text: recurrence, sizes: { t: 2, b: 0 } });

  checkText("states of several shapes, several operands and results", {
    text: `f (float p0, float[2] q0, float[t] xs, float[2, t] ys) => (float p, float[2] q, float[t] us, float[2, t] vs) {
      p, q, us, vs = Scan <num_scan_inputs = 2, scan_input_axes = [0, 1], scan_output_axes = [0, 1],
        scan_input_directions = [0, 1], scan_output_directions = [1, 0],
        body = step (float a, float[2] c, float x, float[2] y) => (float an, float[2] cn, float u, float[2] v) {
          an = Mul (a, x)
          cy = Mul (c, y)
          cn = Sin (cy)
          u = ReduceSum <keepdims = 0> (cn)
          v = Mul (y, an)
        }> (p0, q0, xs, ys)
    }`,
    sizes: { t: 3 },
  });

  checkText("no state at all", {
    text: `f (float[t, 2] xs, float[2] w) => (float[t, 2] ys) {
      ys = Scan <num_scan_inputs = 1, body = step (float[2] x) => (float[2] y) {
        p = Mul (x, w)
        y = Exp (p)
      }> (xs)
    }`,
    sizes: { t: 3 },
  });

  checkText("a state that the body throws away", {
    text: `f (float[2] s0, float[t, 2] xs) => (float[2] s, float[t, 2] ys) {
      s, ys = Scan <num_scan_inputs = 1, body = step (float[2] a, float[2] x) => (float[2] b, float[2] y) {
        b = Sin (x)
        y = Mul (a, x)
      }> (s0, xs)
    }`,
    sizes: { t: 3 },
  });

  checkText(
    "states that change places, and a sum that is linear in all",
    {
      text: `f (float[2] p0, float[2] q0, float[t, 2] xs) => (float[2] p, float[2] q) {
      p, q = Scan <num_scan_inputs = 1, body = step (float[2] a, float[2] c, float[2] x) => (float[2] an, float[2] cn) {
        an = Add (c, x)
        cn = Identity (a)
      }> (p0, q0, xs)
    }`,
      sizes: { t: 3 },
    },
    { once: "it is linear" },
  );

  checkText("a whole number that is counted along", {
    text: `f (int64 n0, float[2] s0, float[t, 2] xs) => (float[2] s) {
      n, s = Scan <num_scan_inputs = 1, body = step (int64 k, float[2] a, float[2] x) => (int64 next, float[2] b) {
        one = Constant <value_int = 1> ()
        next = Add (k, one)
        factor = CastLike (next, a)
        c = Mul (a, factor)
        d = Mul (c, x)
        b = Sin (d)
      }> (n0, s0, xs)
    }`,
    sizes: { t: 3 },
  });

  checkText("a captured value that is broadcast, and one that leaves as it is", {
    text: `f (float[1] w, float[2] v, float[t, 2] xs) => (float[t, 2] ys, float[t, 2] vs) {
      ys, vs = Scan <num_scan_inputs = 1, body = step (float[2] x) => (float[2] y, float[2] z) {
        p = Mul (x, w)
        y = Mul (p, v)
        z = Identity (v)
      }> (xs)
    }`,
    sizes: { t: 3 },
  });

  checkText("a scan in a scan that reads its state", {
    text: `f (float[2] s0, float[t, 2, k] xs, float[2] w) => (float[2] s, float[t, k, 2] ys) {
      s, ys = Scan <num_scan_inputs = 1, body = outer (float[2] a, float[2, k] x) => (float[2] b, float[k, 2] y) {
        b, y = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_input_directions = [1],
          body = inner (float[2] c, float[2] z) => (float[2] d, float[2] o) {
            p = Mul (c, w)
            q = Mul (z, a)
            d = Add (p, q)
            o = Sin (d)
          }> (a, x)
      }> (s0, xs)
    }`,
    sizes: { t: 2, k: 3 },
  });
});

describe("what is saved and what is computed anew", () => {
  test("products are yielded by the forward node, the rest is computed anew", () => {
    const { model } = gradientCase(buildText({ text: recurrence, sizes: { t: 4, b: 2 } }));
    const [forward, backward] = [...model.graph.nodes()].filter(({ op }) => op === "Scan");
    const inside = (node: Node | undefined): string[] =>
      (node?.subgraphs() ?? []).flatMap((body) => [...body.nodes()].map(({ op }) => op));
    const products = (node: Node | undefined): number =>
      inside(node).filter((op) => op === "MatMul" || op === "Gemm").length;
    // One for each operand of both products going back, none for the products themselves.
    expect([products(forward), products(backward)]).toEqual([2, 4]);
    expect(inside(backward).filter((op) => op === "Tanh")).toHaveLength(1);
  });

  test("a draw goes back as it was drawn", async () => {
    const built = buildText({
      text: `f (float[t, 64] xs) => (float[t, 64] ys) {
        ratio = Constant <value_float = 0.5> ()
        yes = Constant <value = bool {1}> ()
        ys = Scan <num_scan_inputs = 1, body = step (float[64] x) => (float[64] y) {
          z = Dropout (x, ratio, yes)
          y = Identity (z)
        }> (xs)
      }`,
      sizes: { t: 3 },
    });
    const { graph } = built.model;
    const upstream = graph.addInput({ name: "g", type: graph.outputs[0]?.type });
    const [y] = graph.outputs;
    if (y === undefined) throw new Error("the model has an output");
    const [gradient] = differentiate(graph, [{ value: y, gradient: upstream }], built.variables, 20);
    if (gradient === undefined) throw new Error("there is a gradient");
    graph.addOutput(gradient);
    verifyModel(built.model);
    const ones = fromNumbers("float32", [3, 64], new Float64Array(192).fill(1));
    const [values, back] = await runModel(built.model, new Map(built.feeds).set(upstream, ones));
    const kept = Array.from(values?.numbers ?? [], (value) => (value === 0 ? 0 : 2));
    expect(new Set(kept)).toEqual(new Set([0, 2]));
    expect(Array.from(back?.numbers ?? [])).toEqual(kept);
  });

  test("a draw of a body inside the body is refused", () => {
    const { model, variables } = buildText({
      text: `f (float[t, k] xs) => (float[t, k] ys) {
        ratio = Constant <value_float = 0.5> ()
        yes = Constant <value = bool {1}> ()
        ys = Scan <num_scan_inputs = 1, body = outer (float[k] x) => (float[k] y) {
          y = Scan <num_scan_inputs = 1, body = inner (float p) => (float q) {
            q = Dropout (p, ratio, yes)
          }> (x)
        }> (xs)
      }`,
      sizes: { t: 3, k: 2 },
    });
    const seeds = model.graph.outputs.map((value) => ({ value, gradient: value }));
    expect(() => differentiate(model.graph, seeds, variables, 20)).toThrow(/E_RANDOM_BODY/);
  });
});
