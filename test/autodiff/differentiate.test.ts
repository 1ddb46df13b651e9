/** What rules share: sums over uses and seeds, the part of a graph that is touched, zeros, decompositions, second order. */
import { describe, expect, it } from "vitest";
import { differentiate } from "../../src/autodiff/differentiate.ts";
import type { Graph } from "../../src/ir/graph.ts";
import type { Node } from "../../src/ir/node.ts";
import type { Value } from "../../src/ir/value.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { type Environment, evaluateGraph } from "../../src/ops/evaluate.ts";
import { fromNumbers } from "../../src/ops/ndarray.ts";
import { checkGradient } from "../harness/check-op.ts";
import { gradientCase } from "../harness/gradient.ts";
import { buildText, type TextCase, valueNamed } from "./text-case.ts";

const cases: Readonly<Record<string, TextCase>> = {
  "both operands of one node": { text: "f (float[3] x) => (float[3] y) { y = Mul (x, x) }" },
  "three elements of a variadic operand": {
    text: "f (float[2] x) => (float[6] y) { y = Concat <axis = 0> (x, x, x) }",
  },
  "a diamond of two ways": {
    text: `f (float[3] x) => (float[3] y) {
      a = Sin (x)
      b = Exp (a)
      c = Cos (a)
      y = Mul (b, c)
    }`,
  },
  "a value that is read again after it is an output": {
    text: "f (float[3] x) => (float[3] y, float[3] z) { y = Sin (x) z = Mul (y, x) }",
  },
  "the same value as two outputs": {
    text: "f (float[3] x) => (float[3] y, float[3] y) { y = Sin (x) }",
  },
  "an output that is the variable itself": {
    text: "f (float[3] x) => (float[3] x, float[3] y) { y = Sin (x) }",
  },
  "two results of one node, of which one is read": {
    text: `f (float[4] x) => (float[2] y) <int64[2] sizes = {2, 2}> {
      a, b = Split <axis = 0> (x, sizes)
      y = Sin (b)
    }`,
  },
  "an operand that only its shape is read of": {
    text: `f (float[2,3] x, float[6] z) => (float[2,3] y) {
      s = Shape (x)
      r = Reshape (z, s)
      y = Mul (r, r)
    }`,
  },
};

describe("sums over all ways", () => {
  it.each(Object.entries(cases))("%s", (_, spec) => {
    checkGradient(() => buildText(spec));
  });

  it.each(Object.entries(cases))("%s, differentiated twice", (_, spec) => {
    checkGradient(() => gradientCase(buildText(spec)));
  });

  it("adds the gradients of two seeds for one value", () => {
    const { graph, gradients } = backward("f (float[2] x) => (float[2] y) { y = Neg (x) }", {
      seeds: ["y", "y"],
      wrt: ["x"],
    });
    expect(run(graph, gradients, { x: [1, 2], "seed.0": [1, 10], "seed.1": [2, 20] })).toEqual([[-3, -30]]);
  });

  it("gives a variable in the middle its own gradient, and those before it theirs", () => {
    const { graph, gradients } = backward(
      "f (float[2] x) => (float[2] y) { h = Mul (x, x) y = Mul (h, h) }",
      {
        seeds: ["y"],
        wrt: ["x", "h"],
      },
    );
    expect(run(graph, gradients, { x: [1, 2], "seed.0": [1, 1] })).toEqual([
      [4, 32],
      [2, 8],
    ]);
  });
});

describe("the active part", () => {
  const text = `f (float[2,3] x, float[3,3] w, float[3,3] v) => (float[2,3] y, int64[2,2] where) {
    a = MatMul (x, w)
    b = Tanh (a)
    c = Ceil (x)
    where = NonZero (c)
    d = MatMul (b, v)
    side = Exp (d)
    y = Sin (d)
  }`;

  it("is all that backward nodes are made for", () => {
    // By v alone: nothing before the product with v is asked for its rule.
    const { added } = backward(text, { seeds: ["y"], wrt: ["v"] });
    expect(added.map(({ op }) => op).sort()).toEqual(["Cos", "Gemm", "Mul"]);
  });

  it("leaves the forward graph as it is", () => {
    const { graph, before, added, model } = backward(text, { seeds: ["y"], wrt: ["w", "v"] });
    expect([...graph.nodes()].slice(0, before.length)).toEqual(before);
    expect(added.length).toBe(graph.size - before.length);
    expect(graph.outputs.slice(0, 2).map(({ name }) => name)).toEqual(["y", "where"]);
    verifyModel(model);
  });

  it("does not hold what no seed depends on", () => {
    const { gradients, added } = backward(text, { seeds: ["y"], wrt: ["x", "v"] });
    expect(gradients.every((gradient) => gradient !== undefined)).toBe(true);
    // Exp would show in a product of its result.
    expect(added.some((node) => node.inputs.some((input) => input?.name === "side"))).toBe(false);
  });

  it("says undefined for a variable that no seed depends on", () => {
    const { gradients, added } = backward(text, { seeds: ["y"], wrt: ["side", "w"] });
    expect(gradients[0]).toBeUndefined();
    expect(gradients[1]).toBeDefined();
    expect(added.length).toBeGreaterThan(0);
    const nothing = backward(text, { seeds: ["y"], wrt: ["side"] });
    expect(nothing.gradients).toEqual([undefined]);
    expect(nothing.added).toEqual([]);
  });

  it("gives backward nodes the names and metadata of the nodes they belong to", () => {
    const { added } = backward(
      `f (float[2] x) => (float[2] y) {
        #! {"metadata": {"module": "act"}}
        ["/act/Sin"] y = Sin (x)
      }`,
      { seeds: ["y"], wrt: ["x"] },
    );
    expect(added.map(({ name, metadata }) => [name, metadata.get("module")])).toEqual(
      added.map(() => ["/act/Sin", "act"]),
    );
    expect(added.length).toBeGreaterThan(0);
  });
});

describe("operators without slope", () => {
  it("pass no gradient, and stop no other way", () => {
    const { graph, gradients } = backward(
      "f (float[2] x) => (float[2] y) { a = Floor (x) b = Mul (x, x) y = Add (a, b) }",
      { seeds: ["y"], wrt: ["x"] },
    );
    expect(run(graph, gradients, { x: [1.5, -2.5], "seed.0": [1, 1] })).toEqual([[3, -5]]);
  });

  it("leave nothing to differentiate where there is no other way", () => {
    const { gradients, added } = backward("f (float[2] x) => (float[2] y) { a = Sign (x) y = Exp (a) }", {
      seeds: ["y"],
      wrt: ["x"],
    });
    expect(gradients).toEqual([undefined]);
    expect(added).toEqual([]);
  });
});

describe("operators that are differentiated through others", () => {
  // FusedMatMul is one.
  const text = `<ir_version: 10, opset_import: ["" : 20, "com.microsoft" : 1]>
  f (float[3,2] x, float[3,4] w) => (float[2,4] y) {
    h = com.microsoft.FusedMatMul <transA = 1, alpha = 0.5> (x, w)  # float[2,4]
    y = Sin (h)
  }`;

  it("are replaced where a gradient passes, and their readers and names kept", () => {
    const { graph, model } = backward(text, { seeds: ["y"], wrt: ["w"] });
    expect([...graph.nodes()].map(({ op }) => op)).not.toContain("FusedMatMul");
    expect(graph.outputs[0]?.name).toBe("y");
    verifyModel(model);
    checkGradient(() => buildText({ text }));
  });

  it("may be seeded themselves", () => {
    const seeded = text.replace("=> (float[2,4] y)", "=> (float[2,4] h, float[2,4] y)");
    checkGradient(() => buildText({ text: seeded }));
    const { graph } = backward(seeded, { seeds: ["h"], wrt: ["w"] });
    expect(graph.outputs[0]?.name).toBe("h");
  });

  it("stay where none passes", () => {
    const { graph, added } = backward(text.replace("float[3,4] w)", "float[3,4] w, float[2,4] z)"), {
      seeds: ["y"],
      wrt: ["z"],
    });
    expect([...graph.nodes()].map(({ op }) => op)).toContain("FusedMatMul");
    expect(added).toEqual([]);
  });
});

interface Backward {
  readonly model: ReturnType<typeof buildText>["model"];
  readonly graph: Graph;
  /** Nodes before and after. */
  readonly before: readonly Node[];
  readonly added: readonly Node[];
  readonly gradients: readonly (Value | undefined)[];
}

/** Differentiates a text by names; the upstream gradients are inputs `seed.0`, `seed.1`... */
function backward(
  text: string,
  names: { readonly seeds: readonly string[]; readonly wrt: readonly string[] },
): Backward {
  const { model, opset } = buildText({ text });
  const { graph } = model;
  const before = [...graph.nodes()];
  const variables = names.wrt.map((name) => valueNamed(graph, name));
  const seeds = names.seeds.map((name, index) => {
    const value = valueNamed(graph, name);
    return { value, gradient: graph.addInput({ name: `seed.${index}`, type: value.type }) };
  });
  const gradients = differentiate(graph, seeds, variables, opset);
  const added = [...graph.nodes()].filter((node) => !before.includes(node));
  return { model, graph, before, added, gradients };
}

/** Elements of gradients for the given inputs. */
function run(
  graph: Graph,
  gradients: readonly (Value | undefined)[],
  feeds: Readonly<Record<string, readonly number[]>>,
): number[][] {
  const environment: Environment = new Map(
    graph.inputs.map((input) => {
      const values = feeds[input.name];
      if (values === undefined) throw new Error(`nothing to feed to "${input.name}"`);
      return [input, fromNumbers("float32", [values.length], values)];
    }),
  );
  const known = gradients.filter((gradient) => gradient !== undefined);
  graph.setOutputs(known);
  return evaluateGraph(graph, environment, { opset: 20 }).map((array) => array.toNumbers());
}
