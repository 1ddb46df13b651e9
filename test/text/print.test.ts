/** Tests of how models print: layout, options, weights in files, and names. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InternalError } from "../../src/diagnostics/define.ts";
import { float32Tensor, int64Tensor } from "../../src/ir/constant.ts";
import { symbol } from "../../src/ir/dim.ts";
import { Graph } from "../../src/ir/graph.ts";
import { functionKey, Model } from "../../src/ir/model.ts";
import { Node } from "../../src/ir/node.ts";
import { setRole } from "../../src/ir/role.ts";
import { Tensor } from "../../src/ir/tensor.ts";
import { tensorType } from "../../src/ir/type.ts";
import { Value } from "../../src/ir/value.ts";
import { parseModel } from "../../src/text/parse.ts";
import { type ModelPrintOptions, printModel } from "../../src/text/print.ts";

function print(model: Model, options: ModelPrintOptions = {}): string {
  return printModel(model, { header: "unless-default", ...options });
}

/** A step that trains A of x A, with a loop of one level. */
function small(): Model {
  const model = new Model();
  const { graph } = model;
  const x = graph.addInput({ name: "x", type: tensorType("float32", [symbol("batch"), 3]) });
  const a = graph.addInput({
    name: "A",
    type: tensorType("float32", [3, 1]),
    initializer: float32Tensor([1, 2, 3], [3, 1]),
  });
  setRole(setRole(x, "batch"), "batch", { field: "x" });
  setRole(a, "param", { key: "lora.A" });
  const axes = graph.addInitializer(int64Tensor([0, 1]), "axes");
  const y = new Node({
    op: "MatMul",
    inputs: [x, a],
    name: "/m/MatMul",
    outputs: [new Value({ name: "y", type: tensorType("float32", [symbol("batch"), 1]) })],
  });
  const loss = new Node({
    op: "ReduceSum",
    inputs: [y.output(), axes],
    attributes: { keepdims: 0 },
    outputs: [new Value({ name: "L", type: tensorType("float32", []) })],
  });
  for (const node of [y, loss]) graph.insert(node);
  graph.addOutput(loss.output());
  return model;
}

test("a small model", () => {
  expect(printModel(small())).toBe(`<ir_version: 10, opset_import: ["" : 20]>
main (
  #! {"metadata": {"peft.role": "batch", "peft.field": "x"}}
  float[batch,3] x,
  #! {"metadata": {"peft.role": "param", "peft.key": "lora.A"}}
  float[3,1] A = {1, 2, 3}
) => (float L) <int64[2] axes = {0, 1}> {
  ["/m/MatMul"] y = MatMul (x, A)  # float[batch,1]
  L = ReduceSum <keepdims = 0> (y, axes)
}
`);
});

describe("the header", () => {
  test("is left out where it says nothing and that is asked for", () => {
    expect(print(new Model())).toBe("main () => () {}\n");
    expect(print(new Model({ opsets: [["", 21]] }))).toContain('opset_import: ["" : 21]');
    expect(print(new Model({ irVersion: 11 }))).toContain("ir_version: 11");
    const named = new Model();
    named.metadata.set("k", "v");
    expect(print(named)).toContain('metadata_props: ["k": "v"]');
  });

  test("takes a line for each field where it is long", () => {
    const model = new Model();
    model.producerName = "p".repeat(100);
    expect(printModel(model)).toMatch(
      /^<\n {2}ir_version: 10,\n {2}opset_import: \["" : 20\],\n {2}producer_name: "p+"\n>\n/,
    );
  });
});

test("long signatures take a line for each value, short lists stay", () => {
  const model = new Model();
  for (let i = 0; i < 6; i++)
    model.graph.addInput({ name: `a_rather_long_name_${i}`, type: tensorType("float32", [2]) });
  const [first] = model.graph.inputs;
  if (first !== undefined) model.graph.addOutput(first);
  const text = print(model);
  expect(text).toMatch(/^main \(\n {2}float\[2\] a_rather_long_name_0,\n/);
  expect(text).toMatch(/\n\) => \(float\[2\] a_rather_long_name_0\) \{\}\n$/);
});

test("types of results can be left out", () => {
  expect(print(small(), { types: false })).not.toContain("  # ");
});

test("elided data prints for reading only", () => {
  const model = new Model();
  model.graph.addInitializer(float32Tensor([1, 2, 3]), "w");
  model.graph.addInitializer(float32Tensor([1]), "v");
  model.graph.insert(new Node({ op: "Constant", inputs: [], attributes: { value: float32Tensor([1, 2]) } }));
  const text = print(model, { elideElements: 1 });
  expect(text).toBe(`main () => () <
  #! {"tensor": {"elided": true}}
  float[3] w = {},
  float[1] v = {1}
> {
  #! {"attributes": {"value": {"elided": true}}}
  constant = Constant <value = float[2] {}> ()
}
`);
  expect(() => parseModel(text)).toThrow(/E_TEXT_ELIDED/);
});

describe("weights in files", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "text-"));
    writeFileSync(join(folder, "w.bin"), new Uint8Array(Float32Array.of(0, 1.5, -2).buffer));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  function model(file: string, dims: readonly number[], folderOfModel = folder): Model {
    const result = new Model();
    const range = { file: join(folder, file), offset: 4, length: (dims[0] ?? 1) * 4 };
    result.graph.addInitializer(new Tensor("float32", dims, { kind: "file", range }, { name: "w" }));
    result.origin = { file: join(folderOfModel, "m.onnx"), folder: folderOfModel };
    return result;
  }

  test("are literals where they are small, else the place", () => {
    expect(print(model("w.bin", [2]))).toBe("main () => () <float[2] w = {1.5, -2}> {}\n");
    const place = '["location": "w.bin", "offset": "4", "length": "8"]';
    expect(print(model("w.bin", [2]), { inlineElements: 1 })).toBe(
      `main () => () <float[2] w = ${place}> {}\n`,
    );
    expect(print(model("none.bin", [65]))).toContain(
      '["location": "none.bin", "offset": "4", "length": "260"]',
    );
  });

  test("are named from the folder of the text", () => {
    const options = { inlineElements: 0 };
    expect(print(model("sub/w.bin", [2]), { ...options, folder: join(folder, "sub") })).toContain(
      '"location": "w.bin"',
    );
    expect(print(model("w.bin", [2], join(folder, "sub")), options)).toContain(
      `"location": "${join(folder, "w.bin")}"`,
    );
  });

  test("that cannot be read are told", () => {
    expect(() => print(model("none.bin", [2]))).toThrow(/E_TEXT_WEIGHTS.*"w"/);
  });
});

test("functions cannot hold data", () => {
  const model = new Model();
  const body = new Graph("F");
  body.addInitializer(float32Tensor([1]), "w");
  model.functions.set(functionKey("d", "F"), {
    domain: "d",
    name: "F",
    overload: "",
    body,
    opsets: new Map(),
    attributes: [],
    defaults: new Map(),
    docString: "",
    metadata: new Map(),
  });
  expect(() => printModel(model)).toThrow(InternalError);
});

test("broken IR prints, so that it can be looked at", () => {
  const model = new Model();
  model.graph.insert(new Node({ op: "Neg", inputs: [new Value({ name: "gone" })] }));
  model.graph.insert(new Node({ op: "Neg", inputs: [new Value()] }));
  expect(print(model)).toBe("main () => () {\n  neg = Neg (gone)\n  neg_1 = Neg (undefined)\n}\n");
});

test("a million literals print and parse", () => {
  const model = new Model();
  const values = Array.from({ length: 1_000_000 }, (_, i) => i / 8);
  model.graph.addInitializer(float32Tensor(values), "w");
  const [w] = parseModel(printModel(model)).graph.initializers;
  const bytes = w?.initializer?.bytes() ?? new Uint8Array();
  expect(Buffer.compare(bytes, new Uint8Array(Float32Array.from(values).buffer))).toBe(0);
});
