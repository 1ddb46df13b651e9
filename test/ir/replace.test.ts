/** Replacing a value keeps every name that its graph promises to the outside. */
import { describe, expect, it } from "vitest";
import type { Graph } from "../../src/ir/graph.ts";
import type { Model } from "../../src/ir/model.ts";
import { needsIdentity, replaceValue } from "../../src/ir/replace.ts";
import type { Value } from "../../src/ir/value.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import { parseModel } from "../../src/text/parse.ts";
import { printModel } from "../../src/text/print.ts";

/** A model with its values by name. */
function open(text: string): { model: Model; graph: Graph; value: (name: string) => Value } {
  const model = parseModel(text);
  const { graph } = model;
  const values = [
    ...graph.inputs,
    ...graph.initializers,
    ...[...graph.allNodes()].flatMap((node) => node.outputs),
  ];
  const value = (name: string): Value => {
    const found = values.find((each) => each?.name === name);
    if (found == null) throw new Error(`there is no "${name}"`);
    return found;
  };
  return { model, graph, value };
}

/** Body of the printed main graph. */
function lines(model: Model): string[] {
  return printModel(model, { header: "unless-default" })
    .split("\n")
    .slice(1, -1)
    .map((line) => line.trim())
    .filter((line) => line !== "}" && line !== "");
}

describe("replaceValue", () => {
  it("of a value in the middle lets all its readers read the other", () => {
    const { model, value } = open(
      "f (float[2] x) => (float[2] y) { a = Exp (x) b = Neg (x) c = Add (a, a) y = Mul (c, b) }",
    );
    replaceValue(value("a"), value("x"));
    expect(lines(model)).toEqual(["a = Exp (x)", "b = Neg (x)", "c = Add (x, x)", "y = Mul (c, b)"]);
    verifyModel(model);
  });

  it("of an output lets the result of a node take its name and metadata over", () => {
    const { model, graph, value } = open(
      'f (float[2] x) => (#! {"metadata": {"peft.role": "logits"}}\nfloat[2] y) { a = Exp (x) y = Neg (x) z = Neg (y) }',
    );
    replaceValue(value("y"), value("a"));
    expect(graph.outputs.map(({ name, producer }) => [name, producer?.op])).toEqual([["y", "Exp"]]);
    expect(graph.outputs[0]?.metadata.get("peft.role")).toBe("logits");
    verifyModel(model);
  });

  it.each([
    ["an input", "x"],
    ["an initializer", "w"],
    ["another output", "z"],
  ])("of an output by %s goes through an Identity", (_, by) => {
    const { model, graph, value } = open(
      "f (float[2] x) => (float[2] y, float[2] z) <float[2] w = {1, 2}> { y = Exp (x) z = Neg (x) t = Abs (y) }",
    );
    expect(needsIdentity(value("y"), value(by))).toBe(true);
    replaceValue(value("y"), value(by));
    expect(graph.outputs.map(({ name }) => name)).toEqual(["y", "z"]);
    expect(graph.outputs[0]?.producer).toMatchObject({ op: "Identity", inputs: [value(by)] });
    // Other readers take the value directly.
    expect(value("t").producer?.input(0)).toBe(value(by));
    verifyModel(model);
  });

  it("of two outputs that are one value keeps both", () => {
    const { model, graph, value } = open(
      "f (float[2] x) => (float[2] y, float[2] y) { y = Exp (x) a = Neg (x) }",
    );
    replaceValue(value("y"), value("a"));
    expect(graph.outputs.map(({ name, producer }) => [name, producer?.op])).toEqual([
      ["y", "Neg"],
      ["y", "Neg"],
    ]);
    verifyModel(model);
  });

  it("of a body's output by a value around it goes through an Identity in the body", () => {
    const { model, graph, value } = open(`f (float[2] x, bool c) => (float[2] y) {
      a = Exp (x)
      y = If (c) <
        then_branch = g () => (float[2] t) { t = Neg (a) },
        else_branch = h () => (float[2] e) { e = Abs (x) }
      >
    }`);
    replaceValue(value("t"), value("a"));
    const [body] = [...graph.nodes()].at(-1)?.subgraphs() ?? [];
    expect(body?.outputs[0]?.name).toBe("t");
    expect(body?.outputs[0]?.producer?.op).toBe("Identity");
    verifyModel(model);
  });

  it("by itself does nothing", () => {
    const { model, value } = open("f (float[2] x) => (float[2] y) { y = Exp (x) }");
    const before = printModel(model);
    replaceValue(value("y"), value("y"));
    expect(printModel(model)).toBe(before);
  });

  it("hands its name to a result without one", () => {
    const { value } = open("f (float[2] x) => (float[2] y) { a = Exp (x) b = Neg (x) y = Abs (a) }");
    const [from, to] = [value("a"), value("b")];
    to.name = "";
    replaceValue(from, to);
    expect(to.name).toBe("a");
  });
});
