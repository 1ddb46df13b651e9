/** The namer: which names become unique, and which stay as they are. */
import { describe, expect, it } from "vitest";
import { assignNames, chooseNames } from "../../src/ir/names.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";

const text = `f (float[2] x) => (float[2] y) {
  ["a"] t = Exp (x)
  ["a"] u = Neg (t)
  v = Abs (u)
  y = Sqrt (v)
}`;

it("makes equal node names different, since the runtime refuses them, and leaves nodes without one", () => {
  const model = parseModel(text);
  assignNames(model);
  expect([...model.graph.nodes()].map(({ name }) => name)).toEqual(["a", "a_1", "", ""]);
});

it("names every node when asked to", () => {
  const model = parseModel(text);
  assignNames(model, { nodes: true });
  expect([...model.graph.nodes()].map(({ name }) => name)).toEqual(["a", "a_1", "Abs", "Sqrt"]);
});

describe("names of values", () => {
  it("that the main graph promises stay, whatever stands before them", () => {
    const model =
      parseModel(`f (float[2] x, float[2] y_1) => (float[2] y, float[2] y_2) <float[2] w = {1, 2}> {
      a = Exp (x)
      b = Neg (a)
      y = Mul (b, w)
      y_2 = Abs (y_1)
    }`);
    const [a, b] = [...model.graph.nodes()];
    if (a === undefined || b === undefined) throw new Error("the text has changed");
    a.output().name = "y";
    b.output().name = "w";
    assignNames(model);
    expect(model.graph.inputs.map(({ name }) => name)).toEqual(["x", "y_1"]);
    expect(model.graph.outputs.map(({ name }) => name)).toEqual(["y", "y_2"]);
    expect([...model.graph.initializers].map(({ name }) => name)).toEqual(["w"]);
    expect([a.output().name, b.output().name]).toEqual(["y_3", "w_1"]);
  });

  it("without a wish are called after operator and place", () => {
    const model = parseModel(
      "f (float[2] x) => (float[2] y) <float[2] w = {1, 2}> { a = Exp (x) y = Mul (a, w) }",
    );
    for (const value of [...model.graph.inputs, ...model.graph.initializers]) value.name = "";
    for (const node of model.graph.nodes()) node.output().name = "";
    assignNames(model);
    expect([...model.graph.nodes()].map((node) => node.output().name)).toEqual(["exp", "value_1"]);
    expect(model.graph.inputs[0]?.name).toBe("value");
  });

  it("in bodies share one scope with the graph around them", () => {
    const model = parseModel(`f (float[2] x, bool c) => (float[2] y) {
      y = If (c) <
        then_branch = g () => (float[2] t) { t = Neg (x) },
        else_branch = h () => (float[2] e) { e = Abs (x) }
      >
    }`);
    for (const node of model.graph.allNodes()) if (node.op !== "If") node.output().name = "x";
    assignNames(model);
    const all = [...model.graph.inputs, ...[...model.graph.allNodes()].map((node) => node.output())];
    expect(all.map(({ name }) => name)).toEqual(["x", "c", "y", "x_1", "x_2"]);
  });

  it("in functions have a scope of their own", () => {
    const model = parseModel(`<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
      f (float[2] x) => (float[2] y) { y = local.twice (x) }
      <domain: "local", opset_import: ["" : 20]>
      twice (x) => (y) { y = Add (x, x) }`);
    const before = printModel(model);
    assignNames(model);
    expect(printModel(model)).toBe(before);
  });

  it("are not changed by choosing them for print", () => {
    const { graph } = parseModel(text);
    for (const node of graph.nodes()) node.output().name = "same";
    const names = chooseNames(graph);
    expect(new Set(names.values()).size).toBe(names.size);
    expect([...graph.nodes()].map((node) => node.output().name)).toEqual(["same", "same", "same", "same"]);
  });
});
