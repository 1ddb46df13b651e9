/** From files to the IR: types, scopes, functions, names and the order of nodes. */
import { describe, expect, test } from "vitest";
import type { Graph } from "../../src/ir/graph.ts";
import { formatType } from "../../src/ir/type.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import type { GraphMessage, NodeMessage } from "../../src/onnx/messages.ts";
import { readModel } from "../../src/onnx/read.ts";
import { errorCode } from "./error-code.ts";
import { fixture, modelFiles } from "./fixture-files.ts";
import { bodied, inModel, scalar } from "./small-models.ts";

describe("structure", () => {
  const model = readModel(fixture("structure.onnx"));
  const { graph } = model;
  const nodes = [...graph.nodes()];
  const find = (op: string): (typeof nodes)[number] => {
    const node = nodes.find((each) => each.op === op);
    if (node === undefined) throw new Error(`no ${op}`);
    return node;
  };

  test("is valid, with nodes behind what they read", () => {
    verifyModel(model);
    expect(nodes.map(({ op, name }) => name || op)).toEqual([
      "Constant",
      "if",
      "late",
      "call",
      "add",
      "clip",
    ]);
  });

  test("bodies read outer values, and may hide them", () => {
    const body = (name: string): Graph | undefined => {
      const attribute = find("If").attributes.get(name);
      return attribute?.kind === "graph" ? attribute.value : undefined;
    };
    const [thenBody, elseBody] = [body("then_branch"), body("else_branch")];
    const scale = [...graph.initializers].find(({ name }) => name === "scale");
    const x = graph.inputs[1];
    expect(thenBody?.first?.inputs[0]).toBe(x);
    expect(thenBody?.first?.inputs[1]).toBe(scale);
    expect(elseBody?.last?.inputs[0]).toBe(elseBody?.first?.outputs[0]);
    expect(elseBody?.first?.outputs[0]).not.toBe(scale);
    expect(elseBody?.owner).toBe(find("If"));
  });

  test("types, comments and metadata stand with their values", () => {
    expect(graph.inputs.map(({ name, type }) => `${name}: ${formatType(type)}`)).toEqual([
      "flag: bool[]",
      "x: float32[n, 2]",
      "top: float32[]",
    ]);
    expect(graph.inputs[1]?.docString).toBe("rows");
    expect(graph.inputs[1]?.metadata.get("peft.role")).toBe("batch");
    const sum = find("Scaled").output();
    expect([formatType(sum.type), sum.metadata.get("note")]).toEqual(["float32[n, 2]", "kept"]);
    expect(find("Add").metadata.get("path")).toBe("model/add");
    expect(graph.metadata.get("kind")).toBe("test");
    expect(model.metadata.get("license")).toBe("made up");
  });

  test("an input with data has a default, an absent operand is null", () => {
    expect(graph.inputs[2]?.initializer?.dims).toEqual([]);
    expect([...graph.initializers].map(({ name }) => name)).toEqual(["scale", "bias"]);
    expect(find("Clip").inputs).toEqual([find("Add").output(), null, graph.inputs[2]]);
  });

  test("a sparse initializer is a constant of its own kind", () => {
    const constant = find("Constant");
    expect(constant.output().name).toBe("sparse");
    expect(formatType(constant.output().type)).toBe("float32[2]");
    expect(constant.attributes.get("sparse_value")).toMatchObject({ kind: "sparse", value: { dims: [2] } });
  });

  test("a function has a body, attributes and defaults", () => {
    const fn = model.functions.get("local::Scaled::two");
    expect(find("Scaled")).toMatchObject({ domain: "local", overload: "two" });
    expect(fn?.body.inputs.map(({ name }) => name)).toEqual(["p", "q"]);
    expect(fn?.body.first?.attributes.get("value_float")).toEqual({
      kind: "reference",
      value: "alpha",
      type: "float",
    });
    expect(fn?.attributes).toEqual(["alpha"]);
    expect(fn?.defaults.get("beta")).toEqual({ kind: "float", value: 2 });
    expect(fn?.opsets.get("")).toBe(21);
    expect(formatType(fn?.body.first?.next?.output().type)).toBe("float32[n, 2]");
    expect(fn?.metadata.get("from")).toBe("make.py");
  });

  test("fixture models are valid, and their weights stay in the file", () => {
    for (const file of modelFiles()) {
      const read = readModel(file);
      verifyModel(read);
      const large = [...read.graph.initializers].flatMap(({ initializer }) =>
        initializer !== undefined && initializer.byteLength >= 1024 ? [initializer.source.kind] : [],
      );
      expect(new Set(large)).toEqual(new Set(["file"]));
    }
  });
});

describe("order of nodes", () => {
  const chain = (count: number): NodeMessage[] =>
    Array.from({ length: count }, (_, i) => ({
      op_type: "Neg",
      name: `n${i}`,
      input: [`v${i}`],
      output: [`v${i + 1}`],
    }));
  const read = (node: NodeMessage[]): string[] => {
    const model = readModel(inModel({ node, input: [{ name: "v0" }] }));
    verifyModel(model);
    return [...model.graph.nodes()].map(({ name }) => name);
  };

  test("is kept where it is valid", () => {
    expect(read(chain(4))).toEqual(["n0", "n1", "n2", "n3"]);
  });

  test("a chain of 50,000 nodes backwards is turned around", () => {
    const names = read(chain(50_000).reverse());
    expect([names[0], names.at(-1)]).toEqual(["n0", "n49999"]);
  });

  test("a value with 50,000 readers that all stand before it", () => {
    const readers = Array.from({ length: 50_000 }, (_, i) => ({
      op_type: "Abs",
      name: `r${i}`,
      input: ["v1"],
      output: [`r${i}`],
    }));
    const names = read([...readers, ...chain(1)]);
    expect(names.slice(0, 3)).toEqual(["n0", "r0", "r1"]);
  });

  test("what a body reads from outside counts", () => {
    const body = { node: [{ op_type: "Neg", input: ["v1"], output: ["b"] }], output: [{ name: "b" }] };
    const loop = {
      op_type: "If",
      name: "if",
      input: ["v0"],
      output: ["o"],
      attribute: [{ name: "then_branch", type: 5, g: body }],
    };
    expect(read([loop, ...chain(1)])).toEqual(["n0", "if"]);
  });

  test("a circle is told by its nodes", () => {
    const nodes = [
      { op_type: "Add", name: "a", input: ["v0", "z"], output: ["x"] },
      { op_type: "Mul", name: "b", input: ["x", "v0"], output: ["y"] },
      { op_type: "Sub", name: "c", input: ["y", "v0"], output: ["z"] },
      { op_type: "Neg", name: "behind", input: ["z"], output: ["end"] },
    ];
    expect(() => read(nodes)).toThrow('Add "a" needs Sub "c" needs Mul "b" needs Add "a"');
  });

  test("a node that reads its own result, at once or in a body", () => {
    const itself = { op_type: "Neg", input: ["x"], output: ["x"] };
    expect(errorCode(() => read([itself]))).toBe("E_ONNX_CYCLE");
    const body = { node: [{ op_type: "Neg", input: ["o"], output: ["b"] }], output: [{ name: "b" }] };
    const through = {
      op_type: "If",
      input: ["v0"],
      output: ["o"],
      attribute: [{ name: "then_branch", type: 5, g: body }],
    };
    expect(errorCode(() => read([through]))).toBe("E_ONNX_CYCLE");
  });
});

describe("names", () => {
  const neg = (input: string, output: string): NodeMessage => ({
    op_type: "Neg",
    input: [input],
    output: [output],
  });

  test.each<[string, GraphMessage, string]>([
    ["two inputs", { input: [{ name: "x" }, { name: "x" }] }, "E_ONNX_DUPLICATE"],
    ["two nodes", { input: [{ name: "x" }], node: [neg("x", "y"), neg("x", "y")] }, "E_ONNX_DUPLICATE"],
    ["an input and a node", { input: [{ name: "x" }], node: [neg("x", "x")] }, "E_ONNX_DUPLICATE"],
    ["two results of one node", { node: [{ op_type: "Split", output: ["a", "a"] }] }, "E_ONNX_DUPLICATE"],
    ["two initializers", { initializer: [scalar("w"), scalar("w")] }, "E_ONNX_DUPLICATE"],
    ["two defaults", { input: [{ name: "w" }], initializer: [scalar("w"), scalar("w")] }, "E_ONNX_DUPLICATE"],
    ["no such operand", { node: [neg("x", "y")] }, "E_ONNX_UNDEFINED"],
    ["no such output", { output: [{ name: "y" }] }, "E_ONNX_UNDEFINED"],
    [
      "a body's value read outside",
      { node: [bodied(neg("", "inner")), neg("inner", "y")] },
      "E_ONNX_UNDEFINED",
    ],
    ["no operator", { node: [{ output: ["y"] }] }, "E_ONNX_NODE"],
  ])("%s", (_, graph, code) => {
    expect(errorCode(() => readModel(inModel(graph)))).toBe(code);
  });

  test("a function does not see the main graph", () => {
    const functions = [{ name: "F", domain: "local", node: [neg("x", "y")] }];
    const graph = { input: [{ name: "x" }] };
    expect(errorCode(() => readModel(inModel(graph, { functions })))).toBe("E_ONNX_UNDEFINED");
  });

  test("two functions of one name, unless they differ by overload", () => {
    const named = (overload: string) => ({ name: "F", domain: "local", overload });
    const read = (...overloads: string[]) => readModel(inModel({}, { functions: overloads.map(named) }));
    expect(errorCode(() => read("", ""))).toBe("E_ONNX_DUPLICATE");
    expect([...read("", "two").functions.keys()]).toEqual(["local::F", "local::F::two"]);
  });
});
