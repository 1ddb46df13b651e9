import { addDims, floorDivDims, maxDims, mulDims, symbol, unknownDim } from "../../../src/ir/dim.ts";
import { Model } from "../../../src/ir/model.ts";
import { Node } from "../../../src/ir/node.ts";
import { tensorType, type ValueType } from "../../../src/ir/type.ts";
import { Value } from "../../../src/ir/value.ts";

const batch = symbol("batch");
const seq = symbol("seq");

/** Names that are no identifiers, equal, empty, or words of the grammar. */
export function oddNames(): Model {
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
export function types(): Model {
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
