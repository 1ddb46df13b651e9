/** From the IR to bytes: nothing that was read is lost, and names are unique. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { cloneModel } from "../../src/ir/clone.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import { Node } from "../../src/ir/node.ts";
import { verifyModel } from "../../src/ir/verify.ts";
import type { ModelMessage } from "../../src/onnx/messages.ts";
import { readModel } from "../../src/onnx/read.ts";
import { decodeModelMessage, encodeModelMessage } from "../../src/onnx/wire.ts";
import { encodeModel } from "../../src/onnx/write.ts";
import { fixture, modelFiles } from "./fixture-files.ts";
import { adder, inModel, large } from "./small-models.ts";

const decode = (bytes: Uint8Array): ModelMessage => decodeModelMessage(bytes, "test");

describe("what was read is written", () => {
  const source = decode(readFileSync(fixture("structure.onnx")));
  const model = readModel(fixture("structure.onnx"));
  const bytes = encodeModel(model, { valueInfo: true });
  const written = decode(bytes);

  test("header, imports and metadata", () => {
    const { graph, functions, training_info, configuration, ...header } = written;
    const { graph: _g, functions: _f, training_info: _t, configuration: _c, ...expected } = source;
    expect(header).toEqual(expected);
    expect(graph).toMatchObject({ name: "main", doc_string: "all in one" });
  });

  test("inputs, outputs, value information and initializers", () => {
    for (const part of ["input", "output", "metadata_props"] as const) {
      expect(written.graph?.[part]).toEqual(source.graph?.[part]);
    }
    expect(written.graph?.value_info).toContainEqual(source.graph?.value_info?.[0]);
    expect(written.graph?.initializer?.map(({ name }) => name).sort()).toEqual(["bias", "scale", "top"]);
  });

  test("nodes, in their new order, with devices and metadata", () => {
    const find = (message: ModelMessage, name: string) =>
      message.graph?.node?.find((node) => node.name === name);
    for (const name of ["call", "late", "add", "clip"])
      expect(find(written, name)).toEqual(find(source, name));
  });

  test("a name that hides another is made its own", () => {
    const body = written.graph?.node?.find(({ name }) => name === "if")?.attribute?.[0];
    expect(body?.name).toBe("else_branch");
    expect(body?.g?.node?.map(({ output }) => output?.[0])).toEqual(["scale_1", "branch"]);
  });

  test("functions", () => {
    expect(written.functions).toEqual(source.functions);
  });

  test("what the IR does not know: training information, devices, quantization annotations", () => {
    expect(written.training_info).toEqual(source.training_info);
    expect(written.configuration).toEqual(source.configuration);
    expect(written.graph?.quantization_annotation).toEqual(source.graph?.quantization_annotation);
  });

  test("unknown fields of models, graphs, functions and nodes, through a clone", () => {
    const unknown = { $unknowns: [Uint8Array.of(0xa2, 0x38, 1, 65)] };
    const input = encodeModelMessage({
      ...unknown,
      ir_version: 10,
      graph: { ...unknown, node: [{ ...unknown, op_type: "Op", output: ["y"] }] },
      functions: [{ ...unknown, name: "F", domain: "d" }],
    });
    const { graph, functions, $unknowns } = decode(encodeModel(cloneModel(readModel(input))));
    for (const found of [
      $unknowns,
      graph?.$unknowns,
      graph?.node?.[0]?.$unknowns,
      functions?.[0]?.$unknowns,
    ]) {
      expect(found).toEqual(unknown.$unknowns);
    }
  });

  test("reading and writing again changes nothing", () => {
    expect(encodeModel(readModel(bytes), { valueInfo: true })).toEqual(bytes);
  });

  test.each(modelFiles())("%s: each node and weight, and stable", (file) => {
    const original = decode(readFileSync(file));
    const once = encodeModel(readModel(file), { valueInfo: true });
    const again = decode(once);
    expect(
      again.graph?.node?.map(({ name, op_type, input, output }) => [name, op_type, input, output]),
    ).toEqual(
      original.graph?.node?.map(({ name, op_type, input, output }) => [name, op_type, input, output]),
    );
    const hash = ({ graph }: ModelMessage) =>
      graph?.initializer?.map(({ name, dims, raw_data = [] }) => [
        name,
        dims,
        Buffer.from(raw_data).toString("base64"),
      ]);
    expect(hash(again)).toEqual(hash(original));
    expect(Buffer.compare(encodeModel(readModel(once), { valueInfo: true }), once)).toBe(0);
  });

  test("an annotation goes with the value that it is about", () => {
    const copy = cloneModel(model);
    for (const node of copy.graph.nodes()) if (node.name === "add") node.output().name = "renamed";
    expect(decode(encodeModel(copy)).graph?.quantization_annotation).toBeUndefined();
  });

  test("constants of a function's body become nodes", () => {
    const functions = [
      {
        name: "F",
        domain: "d",
        opset_import: [{ version: 20 }],
        input: ["a"],
        output: ["b"],
        node: [{ op_type: "Neg", input: ["a"], output: ["b"] }],
      },
    ];
    const read = readModel(inModel({}, { functions }));
    const body = read.functions.get("d::F")?.body;
    const constant = body?.addInitializer(float32Tensor([1, 2]), "k");
    body?.first?.setInput(0, constant ?? null);
    const nodes = decode(encodeModel(read)).functions?.[0]?.node;
    expect(nodes?.map(({ op_type, input = [], output = [] }) => [op_type, ...input, ...output])).toEqual([
      ["Constant", "k"],
      ["Neg", "k", "b"],
    ]);
    verifyModel(readModel(encodeModel(read)));
  });

  test("values of one name, or of none, get names of their own", () => {
    const model = adder(large(), "y");
    const [first] = model.graph.nodes();
    const next = new Node({ op: "Neg", inputs: [first?.output() ?? null] });
    model.graph.insert(next);
    model.graph.addOutput(next.output());
    const { graph } = decode(encodeModel(model));
    expect(graph?.output?.map(({ name }) => name)).toEqual(["y", "value"]);
    expect(graph?.initializer?.[0]?.name).toBe("y_1");
  });
});
