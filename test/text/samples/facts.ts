/** Models whose point is what stands around nodes: headers, functions, documentation and metadata. */
import type { Attribute } from "../../../src/ir/attribute.ts";
import { float32Tensor, int64Tensor, zeroTensor } from "../../../src/ir/constant.ts";
import { symbol } from "../../../src/ir/dim.ts";
import { Graph } from "../../../src/ir/graph.ts";
import { functionKey, Model } from "../../../src/ir/model.ts";
import { Node } from "../../../src/ir/node.ts";
import { Tensor } from "../../../src/ir/tensor.ts";
import { tensorType } from "../../../src/ir/type.ts";
import { Value } from "../../../src/ir/value.ts";

const batch = symbol("batch");
const seq = symbol("seq");

/** Functions with attribute parameters, overloads and documentation, and calls of them. */
export function functions(): Model {
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

/** Metadata, documentation and defaults of inputs; types that differ from the data. */
export function facts(): Model {
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
export function oddHeader(): Model {
  const model = new Model({ opsets: [] });
  Object.assign(model, { producerName: "zero \0", docString: "half \ud83d", domain: "plain" });
  model.metadata.set("zero \0", "x");
  model.metadata.set("plain", "y");
  return model;
}
