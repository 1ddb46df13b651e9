/** Hand-built models that hold everything the IR can: the round trips, and the check with the reference parser, use them. */
import type { Attribute } from "../../src/ir/attribute.ts";
import { float32Tensor, inlineTensor, int64Tensor, zeroTensor } from "../../src/ir/constant.ts";
import { addDims, floorDivDims, maxDims, mulDims, symbol, unknownDim } from "../../src/ir/dim.ts";
import { byteLength, type DType, dtypes } from "../../src/ir/dtype.ts";
import { Graph } from "../../src/ir/graph.ts";
import { functionKey, Model } from "../../src/ir/model.ts";
import { Node } from "../../src/ir/node.ts";
import { Tensor } from "../../src/ir/tensor.ts";
import { tensorType, type ValueType } from "../../src/ir/type.ts";
import { Value } from "../../src/ir/value.ts";

const encoder = new TextEncoder();
const batch = symbol("batch");
const seq = symbol("seq");

/** A tensor with every byte different, so that each element has its own bits. */
export function countingTensor(dtype: DType, dims: readonly number[]): Tensor {
  const size = dims.reduce((product, dim) => product * dim, 1);
  if (dtype === "string") {
    const values = Array.from({ length: size }, (_, i) => encoder.encode(`s${i}`));
    return new Tensor(dtype, dims, { kind: "strings", values });
  }
  const length = byteLength(dtype, size);
  const bytes = Uint8Array.from({ length }, (_, i) => (dtype === "bool" ? i % 2 : (i * 37 + 129) % 256));
  return inlineTensor(dtype, dims, bytes);
}

/** One initializer and one attribute of every element type. */
function everyDtype(): Model {
  const model = new Model({ irVersion: 13, opsets: [["", 25]] });
  const { graph } = model;
  graph.name = "every_dtype";
  for (const dtype of dtypes) {
    const constant = graph.addInitializer(countingTensor(dtype, [3]), `init_${dtype}`);
    const node = new Node({
      op: "Constant",
      inputs: [],
      attributes: { value: countingTensor(dtype, dtype === "string" ? [2] : []) },
      outputs: [new Value({ name: `const_${dtype}`, type: tensorType(dtype, []) })],
    });
    graph.insert(node);
    graph.addOutput(constant);
    graph.addOutput(node.output());
  }
  return model;
}

/** Floats at the edges of their types, not-a-numbers with bits of their own included. */
function edgeFloats(): Model {
  const model = new Model();
  const singles = new DataView(new ArrayBuffer(4 * 12));
  [
    0x00000000, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff,
    0x00000001, 0x7f7fffff, 0x3dcccccd, 0x4b7fffff,
  ].forEach((bits, i) => {
    singles.setUint32(i * 4, bits, true);
  });
  const doubles = new DataView(new ArrayBuffer(8 * 7));
  [
    0x8000000000000000n,
    0x7ff0000000000000n,
    0x7ff8000000000000n,
    0xfff8000000000000n,
    0x7ff8000000000abcn,
    1n,
    0x3fb999999999999an,
  ].forEach((bits, i) => {
    doubles.setBigUint64(i * 8, bits, true);
  });
  model.graph.addInitializer(inlineTensor("float32", [12], new Uint8Array(singles.buffer)), "singles");
  model.graph.addInitializer(inlineTensor("float64", [7], new Uint8Array(doubles.buffer)), "doubles");
  model.graph.addInitializer(inlineTensor("complex64", [3, 2], new Uint8Array(singles.buffer)), "complexes");
  const attribute = inlineTensor("float32", [12], new Uint8Array(singles.buffer), "edges");
  model.graph.insert(new Node({ op: "Constant", inputs: [], attributes: { value: attribute } }));
  return model;
}

function body(name: string, captured: Value): Graph {
  const graph = new Graph(name);
  const node = new Node({ op: "Neg", inputs: [captured], outputs: [new Value({ type: captured.type })] });
  graph.insert(node);
  graph.addOutput(node.output());
  return graph;
}

/** Every kind of attribute, empty lists included. */
function everyAttribute(): Model {
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
function nestedBodies(): Model {
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

/** Functions with attribute parameters, overloads and documentation, and calls of them. */
function functions(): Model {
  const model = new Model({
    opsets: [
      ["", 20],
      ["my.domain", 1],
      ["odd domain", 2],
    ],
  });
  const make = (domain: string, name: string, overload: string): void => {
    const f = new Graph(name);
    const x = f.addInput({ name: "x", ...(overload === "" ? {} : { type: tensorType("float32", [batch]) }) });
    x.metadata.set("role", "input");
    const node = new Node({
      op: "Selu",
      inputs: [x],
      attributes: {
        alpha: { kind: "reference", value: "alpha", type: "float" },
        axes: { kind: "reference", value: "axes", type: "ints" },
      },
      outputs: [new Value({ name: "y" })],
    });
    f.insert(node);
    f.addOutput(node.output());
    model.functions.set(functionKey(domain, name, overload), {
      domain,
      name,
      overload,
      body: f,
      opsets: new Map([["", 20]]),
      attributes: ["alpha", "axes"],
      defaults: new Map<string, Attribute>([
        ["beta", { kind: "float", value: 1 }],
        ["mode", { kind: "string", value: overload === "" ? "plain" : "a\0b" }],
        ["value", { kind: "tensor", value: float32Tensor([1.5]) }],
      ]),
      docString: overload === "" ? "one\ntwo" : "zero \0",
      metadata: new Map([["k", "v"]]),
    });
  };
  make("my.domain", "Scale", "");
  make("my.domain", "Scale", "v2");
  make("odd domain", "my-op", "1");
  const x = model.graph.addInput({ name: "x", type: tensorType("float32", [batch]) });
  for (const { domain, name, overload } of model.functions.values()) {
    const call = new Node({
      op: name,
      domain,
      overload,
      inputs: [x],
      attributes: { alpha: { kind: "float", value: 2 } },
    });
    model.graph.insert(call);
    model.graph.addOutput(call.output());
  }
  return model;
}

/** Names that are no identifiers, equal, empty, or words of the grammar. */
function oddNames(): Model {
  const model = new Model({
    opsets: [
      ["", 20],
      ["com.microsoft", 1],
      ["a..b", 1],
    ],
  });
  const { graph } = model;
  graph.name = "main graph \u00e9";
  const names = [
    "/model/layers.0/MatMul_output_0",
    "onnx::MatMul_702",
    "float",
    "seq",
    "inf",
    'q"uo\\te',
    "a\nb",
    "#!",
    "1",
    "x y",
  ];
  const inputs = names.map((name) => graph.addInput({ name, type: tensorType("float32", []) }));
  const untyped = ["bool", "map", "", "", "x", "x", "zero\0name", "zero_name", "__proto__"].map((name) =>
    graph.addInput({ name }),
  );
  const all = new Node({
    op: "Sum",
    name: "/model/Sum",
    inputs: [...inputs, null, ...untyped, null],
    outputs: [new Value({ name: "x" }), null, new Value(), null],
  });
  graph.insert(all);
  graph.addOutput(all.output());
  graph.insert(new Node({ op: "Nothing", inputs: [], outputs: 0 }));
  graph.insert(new Node({ op: "NoResult", name: "a\0b", inputs: [null], outputs: [null] }));
  graph.insert(
    new Node({
      op: "FusedMatMul",
      domain: "com.microsoft",
      inputs: [untyped[0] ?? null],
      attributes: { "my attr": 1, my_attr: 2 },
    }),
  );
  graph.insert(new Node({ op: "my-op", domain: "a..b", overload: "1", inputs: [] }));
  graph.insert(new Node({ op: "my_op", domain: "pkg.torch.2.0", inputs: [] }));
  return model;
}

/** Types of every form, and dimensions that are numbers, names, expressions or unknown. */
function types(): Model {
  const model = new Model();
  const { graph } = model;
  const dims = [
    mulDims(batch, seq),
    addDims(mulDims(2, seq), 1),
    maxDims(batch, floorDivDims(seq, 2)),
    maxDims(maxDims(symbol("a"), symbol("b")), floorDivDims(maxDims(symbol("c"), 3), symbol("d"))),
    unknownDim(),
    mulDims(unknownDim(), 64),
    symbol("?"),
    symbol("3"),
    symbol(""),
    symbol("seq*batch"),
    symbol("past sequence+1"),
    symbol('quo"te'),
    symbol("float"),
    0,
    -1,
  ];
  dims.forEach((dim, i) => {
    const input = graph.addInput({ name: `x${i}`, type: tensorType("float32", [dim, 1]) });
    const node = new Node({
      op: "Split",
      inputs: [input],
      outputs: [
        new Value({ type: tensorType("float16", [1, dim]) }),
        new Value(),
        new Value({ type: tensorType("int64", []) }),
      ],
    });
    graph.insert(node);
  });
  const sequence: ValueType = { kind: "sequence", element: tensorType("float32", [mulDims(batch, seq)]) };
  const s = graph.addInput({ name: "s", type: sequence });
  const o = graph.addInput({ name: "o", type: { kind: "optional", element: sequence } });
  const n = new Node({ op: "Identity", inputs: [s], outputs: [new Value({ type: sequence })] });
  graph.insert(n);
  for (const output of [n.output(), n.output(), s, o]) graph.addOutput(output);
  return model;
}

/** Metadata, documentation and defaults of inputs; types that differ from the data. */
function facts(): Model {
  const model = new Model({
    irVersion: 9,
    opsets: [
      ["", 17],
      ["ai.onnx.ml", 3],
    ],
  });
  Object.assign(model, {
    producerName: "tests",
    producerVersion: '1.0 "beta"',
    domain: "org.example",
    modelVersion: 2n ** 60n + 1n,
    docString: "A model\nof two lines",
  });
  model.metadata.set("author", "nobody");
  model.metadata.set("quoted", 'a "b"');
  const { graph } = model;
  graph.docString = "The graph";
  graph.metadata.set("g", "1");
  const a = graph.addInput({
    name: "a",
    type: tensorType("float32", [2]),
    initializer: float32Tensor([1, 2]),
  });
  a.metadata.set("peft.role", "param");
  const b = graph.addInput({
    name: "b",
    type: tensorType("float32", [batch]),
    initializer: float32Tensor([1, 2]),
  });
  b.docString = "its type is wider than its data";
  const c = graph.addInput({ name: "c", initializer: float32Tensor([], [0, 3]) });
  const w = graph.addInitializer(
    new Tensor(
      "float32",
      [],
      { kind: "inline", bytes: new Uint8Array(4) },
      { name: "old name", docString: "doc" },
    ),
    "w",
  );
  w.metadata.set("k", "v");
  w.docString = "value doc";
  const v = graph.addInitializer(float32Tensor([3]), "v");
  v.type = tensorType("float32", [seq]);
  graph.addInitializer(int64Tensor([1], []), "u").type = undefined;
  graph.addInitializer(zeroTensor("float16", [4]), "lazy");
  const node = new Node({
    op: "Add",
    name: "add",
    inputs: [a, b],
    outputs: [new Value({ name: "sum", type: tensorType("float32", [2]) })],
  });
  node.docString = "adds\nnumbers";
  node.metadata.set("pkg.torch.onnx.stack_trace", 'File "x.py", line 3\n    y = a + b\u2028');
  node.metadata.set("10", "a");
  node.metadata.set("9", "b");
  node.output().metadata.set("peft.role", "hidden");
  node.output().docString = "the sum";
  graph.insert(node);
  const last = new Node({
    op: "Concat",
    inputs: [node.output(), c, w, v],
    outputs: [new Value({ name: "out" })],
  });
  last.output().metadata.set("peft.role", "loss");
  graph.insert(last);
  for (const output of [last.output(), a, last.output()]) graph.addOutput(output);
  return model;
}

/** Strings of the header that quotes cannot hold. */
function oddHeader(): Model {
  const model = new Model({ opsets: [] });
  Object.assign(model, { producerName: "zero \0", docString: "half \ud83d", domain: "plain" });
  model.metadata.set("zero \0", "x");
  model.metadata.set("plain", "y");
  return model;
}

/** Weights that lie in files, inside and outside of the model's folder. */
function externalWeights(): Model {
  const model = new Model();
  model.origin = { file: "/models/a/model.onnx", folder: "/models/a" };
  const weight = (file: string, dtype: DType, dims: readonly number[]): Tensor => {
    const length = byteLength(
      dtype,
      dims.reduce((product, dim) => product * dim, 1),
    );
    return new Tensor(dtype, dims, { kind: "file", range: { file, offset: 4096, length } });
  };
  model.graph.addInitializer(weight("/models/a/model.onnx", "float32", [100, 3]), "inside");
  model.graph.addInitializer(weight("/models/a/sub folder/w.bin", "int4", [101]), "deeper");
  model.graph.addInitializer(weight("/models/b/other.bin", "float16", [200]), "outside");
  model.graph.addInitializer(weight("/models/a/..b/other.bin", "bfloat16", [200]), "dots");
  model.graph.insert(
    new Node({
      op: "Constant",
      inputs: [],
      attributes: { value: weight("/models/a/c.bin", "float64", [65]) },
    }),
  );
  return model;
}

/** Every sample by name. */
export const samples: Readonly<Record<string, () => Model>> = {
  empty: () => new Model(),
  everyDtype,
  edgeFloats,
  everyAttribute,
  nestedBodies,
  functions,
  oddNames,
  types,
  facts,
  oddHeader,
  externalWeights,
};
