/** The verifier: every invariant of the IR, broken one at a time. */
import { describe, expect, it } from "vitest";
import { float32Tensor } from "../../src/ir/constant.ts";
import { Graph } from "../../src/ir/graph.ts";
import type { Model } from "../../src/ir/model.ts";
import { Node } from "../../src/ir/node.ts";
import { Value } from "../../src/ir/value.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { parseModel } from "../../src/text/parse.ts";

const text = `f (float[2] x, bool c) => (float[2] y) <float[2] w = {1, 2}> {
  a = Mul (x, w)
  b = If (c) <
    then_branch = g () => (float[2] t) { t = Neg (a) },
    else_branch = h () => (float[2] e) { e = Abs (x) }
  >
  y = Add (a, b)
}`;

/** Nodes of the text by operator, and its graph. */
function parts(model: Model): {
  graph: Graph;
  mul: Node;
  branch: Node;
  add: Node;
  body: Graph;
  w: Value;
  x: Value;
} {
  const { graph } = model;
  const [mul, branch, add] = [...graph.nodes()];
  const body = branch?.subgraphs()[0];
  const [w] = graph.initializers;
  const [x] = graph.inputs;
  if (!mul || !branch || !add || !body || !w || !x) throw new Error("the text has changed");
  return { graph, mul, branch, add, body, w, x };
}

type Parts = ReturnType<typeof parts>;

const faults: Readonly<Record<string, readonly [message: RegExp, breakIt: (parts: Parts) => void]>> = {
  "a value that is input and initializer": [
    /"x" is defined twice/,
    ({ graph, x }) => graph.initializers.add(x),
  ],
  "an input that does not know its graph": [
    /"x" does not know its graph/,
    ({ x }) => {
      x.graph = undefined;
    },
  ],
  "an initializer that a node makes": [
    /"w" has a producer/,
    ({ w, mul }) => {
      w.producer = mul;
    },
  ],
  "a node before what it reads": [
    /Add reads "(a|b)" before it is defined/,
    ({ graph, add }) => {
      graph.detach(add);
      graph.insert(add, graph.first);
    },
  ],
  "a node that reads a value of no graph": [
    /reads "stray" before it is defined/,
    ({ add }) => add.setInput(1, new Value({ name: "stray" })),
  ],
  "a node that reads a value of a body": [
    /reads "t" before it is defined/,
    ({ add, body }) => add.setInput(1, body.outputs[0] ?? null),
  ],
  "an operand whose use is not registered": [
    /Mul lacks its use of "x"/,
    ({ mul, x }) => {
      const use = mul.useAt(0);
      if (use !== undefined) x.removeUse(use);
    },
  ],
  "a use by a node that stands in no graph": [
    /"w" is read by Neg, which stands in no graph/,
    ({ w }) => new Node({ op: "Neg", inputs: [w] }),
  ],
  "a use that is over": [
    /"w" holds a use that is over/,
    ({ w, mul }) => w.addUse({ kind: "operand", node: mul, index: 1 }),
  ],
  "a result that another node claims": [
    /Mul does not own its output "a"/,
    ({ mul, add }) => {
      mul.output().producer = add;
    },
  ],
  "a result at another position": [
    /Mul does not own its output "a"/,
    ({ mul }) => {
      mul.output().outputIndex = 1;
    },
  ],
  "a node that does not know its graph": [
    /does not know its graph/,
    ({ mul }) => {
      mul.graph = new Graph("other");
    },
  ],
  "a list that lost its end": [
    /counts 3 nodes, has 2/,
    ({ branch, graph, x }) => {
      branch.next = undefined;
      graph.setOutput(0, x);
    },
  ],
  "an output that nothing defines": [
    /output "stray" of "f" is undefined/,
    ({ graph }) => graph.setOutput(0, new Value({ name: "stray" })),
  ],
  "an output whose use is not registered": [
    /output "y" lacks its use/,
    ({ graph, add }) => {
      const use = graph.useAt(0);
      if (use !== undefined) add.output().removeUse(use);
    },
  ],
  "a body that does not know its owner": [
    /a body of If does not know its owner/,
    ({ body }) => {
      body.owner = undefined;
    },
  ],
  "a fault inside a body": [
    /Neg reads "stray" before it is defined/,
    ({ body }) => body.first?.setInput(0, new Value({ name: "stray" })),
  ],
};

describe("verifyModel", () => {
  it("has nothing to say of a model that is well formed", () => {
    expect(() => verifyModel(parseModel(text))).not.toThrow();
  });

  it.each(Object.entries(faults))("finds %s", (_, [message, breakIt]) => {
    const model = parseModel(text);
    breakIt(parts(model));
    expect(() => verifyModel(model)).toThrow(message);
    expect(() => verifyModel(model)).toThrow(/^internal: /);
  });

  it("looks into functions, which see nothing of the main graph", () => {
    const model = parseModel(`<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
      f (float[2] x) => (float[2] y) { y = local.twice (x) }
      <domain: "local", opset_import: ["" : 20]>
      twice (a) => (b) { b = Add (a, a) }`);
    const [fn] = model.functions.values();
    const [x] = model.graph.inputs;
    if (fn === undefined || x === undefined) throw new Error("the text has changed");
    verifyModel(model);
    fn.body.first?.setInput(0, x);
    expect(() => verifyModel(model)).toThrow(/Add reads "x" before it is defined/);
  });
});

describe("graphs refuse what would break them", () => {
  it("removing what is still read", () => {
    const { graph, mul, w, x } = parts(parseModel(text));
    expect(() => graph.remove(mul)).toThrow(/removed while "a" is read/);
    expect(() => graph.removeInitializer(w)).toThrow(/still read/);
    expect(() => graph.removeInput(x)).toThrow(/still read/);
  });

  it("a node in two places, and an anchor elsewhere", () => {
    const { graph, mul, body } = parts(parseModel(text));
    expect(() => graph.insert(mul)).toThrow(/stands in a graph already/);
    expect(() => graph.insert(new Node({ op: "Neg", inputs: [] }), body.first)).toThrow(/anchor/);
    expect(() => new Graph().detach(mul)).toThrow(/not in this graph/);
  });

  it("a value that two nodes make", () => {
    const { mul } = parts(parseModel(text));
    expect(() => new Node({ op: "Neg", inputs: [], outputs: [mul.output()] })).toThrow(/assigned twice/);
  });
});

describe("editing keeps uses in step", () => {
  it("when bodies go with their node, captured values lose their uses", () => {
    const model = parseModel(text);
    const { graph, branch, add, mul } = parts(model);
    add.setInput(1, mul.output());
    graph.remove(branch);
    verifyModel(model);
    expect([...mul.output().uses].map((use) => use.kind === "operand" && use.node)).toEqual([add, add]);
  });

  it("when operands are cut, replaced and left out", () => {
    const model = parseModel(text);
    const { graph, add, x } = parts(model);
    add.setInput(3, x);
    expect(add.inputs.map((input) => input?.name ?? "")).toEqual(["a", "b", "", "x"]);
    verifyModel(model);
    add.truncateInputs(2);
    add.setInput(1, null);
    verifyModel(model);
    expect(add.inputs.map((input) => input?.name ?? "")).toEqual(["a", ""]);
    expect(graph.size).toBe(3);
  });

  it("when a graph takes over another", () => {
    const model = parseModel(text);
    const other = parseModel("g (float[3] p) => (float[3] q) <float[3] v = {1, 2, 3}> { q = Mul (p, v) }");
    model.graph.replaceBy(other.graph);
    verifyModel(model);
    expect(model.graph.inputs.map(({ name }) => name)).toEqual(["p"]);
    expect(model.graph.size).toBe(1);
    expect(other.graph.size + other.graph.inputs.length + other.graph.initializers.size).toBe(0);
  });

  it("while a list is walked that loses and gains nodes", () => {
    const { graph } = parts(parseModel(text));
    const seen: string[] = [];
    for (const node of graph.nodes()) {
      seen.push(node.op);
      if (node.op === "Mul") {
        graph.insert(new Node({ op: "Before", inputs: [] }), node);
        graph.insert(new Node({ op: "After", inputs: [] }), node.next);
      }
      if (node.op === "After") graph.remove(node);
    }
    expect(seen).toEqual(["Mul", "After", "If", "Add"]);
    expect([...graph.reversed()].map(({ op }) => op)).toEqual(["Add", "If", "Mul", "Before"]);
  });
});

it("an initializer has the type of its tensor", () => {
  const value = new Graph().addInitializer(float32Tensor([1, 2, 3]), "w");
  expect(value.tensorType).toEqual({ kind: "tensor", dtype: "float32", shape: [3] });
});
