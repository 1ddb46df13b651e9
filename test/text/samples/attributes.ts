/** Models whose point is attributes, and the bodies that they hold. */
import type { Attribute } from "../../../src/ir/attribute.ts";
import { float32Tensor, inlineTensor, int64Tensor } from "../../../src/ir/constant.ts";
import { mulDims, symbol, unknownDim } from "../../../src/ir/dim.ts";
import { Graph } from "../../../src/ir/graph.ts";
import { Model } from "../../../src/ir/model.ts";
import { Node } from "../../../src/ir/node.ts";
import { Tensor } from "../../../src/ir/tensor.ts";
import { tensorType, type ValueType } from "../../../src/ir/type.ts";
import { Value } from "../../../src/ir/value.ts";

import { countingTensor } from "./tensors.ts";

const encoder = new TextEncoder();
const batch = symbol("batch");
const seq = symbol("seq");

function body(name: string, captured: Value): Graph {
  const graph = new Graph(name);
  const node = new Node({ op: "Neg", inputs: [captured], outputs: [new Value({ type: captured.type })] });
  graph.insert(node);
  graph.addOutput(node.output());
  return graph;
}

/** Every kind of attribute, empty lists included. */
export function everyAttribute(): Model {
  const model = new Model();
  const { graph } = model;
  const x = graph.addInput({ name: "x", type: tensorType("float32", [2]) });
  const sparse = {
    values: inlineTensor("float32", [2], new Uint8Array(8), "sparse values"),
    indices: int64Tensor([0, 7], [2, 1]),
    dims: [3, 4],
  };
  const types: ValueType[] = [
    tensorType("float32"),
    tensorType("int4", [2, batch]),
    { kind: "sequence", element: { kind: "optional", element: tensorType("bool", []) } },
    { kind: "map", key: "int64", value: tensorType("string", [unknownDim()]) },
    { kind: "sparse", dtype: "float64", shape: [3, mulDims(batch, seq)] },
    { kind: "sparse", dtype: "float16" },
    { kind: "opaque", domain: "", name: "" },
    { kind: "opaque", domain: "", name: "a.b" },
    { kind: "opaque", domain: "test.d", name: "n" },
    { kind: "opaque", domain: "te-st", name: "n m" },
  ];
  const bytes = Uint8Array.of(0xff, 0, 0x22);
  const attributes: Record<string, Attribute> = {
    int: { kind: "int", value: -7 },
    big: { kind: "int", value: -(2n ** 63n) },
    exact: { kind: "int", value: 2 ** 60 },
    float: { kind: "float", value: 3 },
    small: { kind: "float", value: 1e-45 },
    zero: { kind: "float", value: -0 },
    infinite: { kind: "float", value: Number.NEGATIVE_INFINITY },
    none: { kind: "float", value: Number.NaN },
    string: { kind: "string", value: 'say "a\\b"\n# not a comment, \u00e9 \u{1f600}' },
    zeros: { kind: "string", value: "a\0b" },
    half: { kind: "string", value: "\ud83d" },
    bytes: { kind: "string", value: bytes },
    tensor: {
      kind: "tensor",
      value: new Tensor("float32", [1], { kind: "inline", bytes: new Uint8Array(4) }, { docString: "d" }),
    },
    named: { kind: "tensor", value: inlineTensor("int64", [], new Uint8Array(8), "not an identifier") },
    words: {
      kind: "tensor",
      value: new Tensor("string", [2], { kind: "strings", values: [bytes, encoder.encode("ok")] }),
    },
    graph: { kind: "graph", value: body("g", x) },
    sparse: { kind: "sparse", value: sparse },
    type: { kind: "type", value: tensorType("float32", [batch, 3]) },
    ints: { kind: "ints", value: [1, -2, 2n ** 63n - 1n] },
    floats: { kind: "floats", value: [0.1, 2, Number.POSITIVE_INFINITY, 1e30] },
    strings: { kind: "strings", value: ["", "b", bytes, "\0"] },
    tensors: { kind: "tensors", value: [countingTensor("uint8", [2]), countingTensor("string", [1])] },
    graphs: { kind: "graphs", value: [body("first", x), body("second", x)] },
    sparses: { kind: "sparses", value: [sparse, sparse] },
    types: { kind: "types", value: types },
    noInts: { kind: "ints", value: [] },
    noFloats: { kind: "floats", value: [] },
    noStrings: { kind: "strings", value: [] },
    noTensors: { kind: "tensors", value: [] },
    noGraphs: { kind: "graphs", value: [] },
    noSparses: { kind: "sparses", value: [] },
    noTypes: { kind: "types", value: [] },
  };
  for (const [name, attribute] of Object.entries(attributes)) {
    graph.insert(
      new Node({ op: "Odd", domain: "test.domain", inputs: [x], attributes: { [name]: attribute } }),
    );
  }
  graph.insert(
    new Node({
      op: "All",
      domain: "test.domain",
      inputs: [x],
      attributes: { axis: 1, ...noBodies(attributes) },
    }),
  );
  return model;
}

function noBodies(attributes: Record<string, Attribute>): Record<string, Attribute> {
  return Object.fromEntries(
    Object.entries(attributes).filter(([, { kind }]) => kind !== "graph" && kind !== "graphs"),
  );
}

/** Bodies in bodies that read values of every level, with data and documentation of their own. */
export function nestedBodies(): Model {
  const model = new Model();
  const { graph } = model;
  const x = graph.addInput({ name: "x", type: tensorType("float32", [2]) });
  const condition = graph.addInput({ name: "condition", type: tensorType("bool", []) });
  const inner = new Graph("inf_inner");
  inner.docString = "reads x and\nt";
  inner.metadata.set("key", "value");
  const t = new Node({
    op: "Abs",
    inputs: [x],
    outputs: [new Value({ name: "t", type: tensorType("float32", [2]) })],
  });
  const weight = inner.addInitializer(float32Tensor([1, 2]), "x");
  const sum = new Node({ op: "Add", inputs: [t.output(), weight] });
  inner.insert(sum);
  inner.addOutput(sum.output());
  const middle = new Graph("float");
  middle.insert(t);
  const branch = new Node({
    op: "If",
    name: "inner if",
    inputs: [condition],
    attributes: { else_branch: inner, then_branch: body("", t.output()), note: "between" },
    outputs: [new Value({ type: tensorType("float32", [2]) })],
  });
  middle.insert(branch);
  middle.addOutput(branch.output());
  const outer = new Node({
    op: "If",
    inputs: [condition],
    attributes: { then_branch: middle, else_branch: body("else", x) },
  });
  graph.insert(outer);
  graph.addOutput(outer.output());
  return model;
}
