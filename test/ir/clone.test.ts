/** Copies of models: the same text, values of their own, bodies that capture copies. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cloneModel, cloneNode, type ValueMap } from "../../src/ir/clone.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";
import { modelOf, stepLists } from "../pass/random-model.ts";

const text = `<ir_version: 9, opset_import: ["" : 19, "local" : 2], producer_name: "p", producer_version: "1", domain: "d", model_version: 7, doc_string: "text">
#! {"doc": "a graph", "metadata": {"graph": "fact"}}
f (#! {"metadata": {"peft.role": "param"}}
float[n,2] x, bool c, float[2] d = {5, 6}) => (float[n,2] y, float[2] w) <float[2] w = {1, 2}> {
  a = local.twice (x)
  #! {"metadata": {"module": "m"}}
  ["node"] b = If (c) <
    then_branch = g () => (float[n,2] t) <float[2] k = {3, 4}> {
      s = Add (a, k)
      t = If (c) <
        then_branch = i () => (float[n,2] u) { u = Mul (s, x) },
        else_branch = j () => (float[n,2] v) { v = Neg (a) }
      >
    },
    else_branch = h () => (float[n,2] e) { e = Abs (x) }
  >
  y = Add (a, b)
}
<domain: "local", opset_import: ["" : 19]>
twice (p) => (q) { q = Add (p, p) }
`;

describe("cloneModel", () => {
  it("gives the same text", () => {
    const model = parseModel(text);
    expect(printModel(cloneModel(model))).toBe(printModel(model));
    verifyModel(cloneModel(model));
  });

  it("shares no value, node or graph with the original, in bodies and functions neither", () => {
    const model = parseModel(text);
    const map: ValueMap = new Map();
    const copy = cloneModel(model, map);
    const originals = new Set([...model.graph.allNodes()]);
    const values = new Set([...originals].flatMap((node) => node.outputs));
    for (const node of copy.graph.allNodes()) {
      expect(originals.has(node)).toBe(false);
      for (const value of [...node.inputs, ...node.outputs]) {
        expect(values.has(value) || model.graph.inputs.includes(value ?? node.output())).toBe(false);
      }
    }
    // Every value that the original's nodes make has its copy, bodies included.
    for (const value of values) expect(value === null || map.has(value)).toBe(true);
    const [fn] = model.functions.values();
    const [copied] = copy.functions.values();
    expect(copied?.body).not.toBe(fn?.body);
    expect(copied?.opsets).not.toBe(fn?.opsets);
    expect(copied?.opsets).toEqual(fn?.opsets);
  });

  it("shares tensors", () => {
    const model = parseModel(text);
    const [w] = model.graph.initializers;
    const [copied] = cloneModel(model).graph.initializers;
    expect(copied?.initializer).toBe(w?.initializer);
    expect(copied).not.toBe(w);
  });

  it("leaves the original alone when it is edited", () => {
    const model = parseModel(text);
    const before = printModel(model);
    const copy = cloneModel(model);
    copy.opsets.set("", 20);
    copy.metadata.set("k", "v");
    copy.graph.clear();
    copy.functions.clear();
    expect(printModel(model)).toBe(before);
    verifyModel(model);
  });

  it("keeps facts that text does not show", () => {
    const model = parseModel(text);
    const [x] = model.graph.inputs;
    const first = model.graph.first;
    if (x === undefined || first === undefined) throw new Error("the text has changed");
    x.content = [3];
    first.carried = { anything: 1 };
    model.carried = { header: 1 };
    model.origin = { file: "/m/model.onnx", folder: "/m" };
    const copy = cloneModel(model);
    expect(copy.graph.inputs[0]?.content).toEqual([3]);
    expect(copy.graph.first?.carried).toBe(first.carried);
    expect(copy.carried).toBe(model.carried);
    expect(copy.origin).toEqual(model.origin);
    expect([copy.producerName, copy.modelVersion, copy.docString]).toEqual(["p", 7, "text"]);
  });

  it("does all that on random models", () => {
    fc.assert(
      fc.property(stepLists(12), (steps) => {
        const model = modelOf(steps);
        const before = printModel(model);
        const copy = cloneModel(model);
        expect(printModel(copy)).toBe(before);
        verifyModel(copy);
      }),
      { numRuns: 50, seed: 1 },
    );
  });
});

describe("cloneNode", () => {
  it("reads values of surrounding graphs that have no copy", () => {
    const model = parseModel(text);
    const branch = [...model.graph.nodes()][1];
    if (branch === undefined) throw new Error("the text has changed");
    const copy = cloneNode(branch, new Map());
    model.graph.insert(copy, branch);
    verifyModel(model);
    expect(copy.metadata.get("module")).toBe("m");
    expect(copy.input(0)).toBe(branch.input(0));
    // Inner bodies capture the copies of what the outer body makes.
    const inner = copy.subgraphs()[0];
    expect([...(inner?.allNodes() ?? [])].find(({ op }) => op === "Mul")?.input(0)).toBe(
      inner?.first?.output(),
    );
  });
});
