/** Small models as messages and bytes. */
import { float32Tensor } from "../../src/ir/constant.ts";
import { Graph } from "../../src/ir/graph.ts";
import { Model } from "../../src/ir/model.ts";
import { Node } from "../../src/ir/node.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import type { GraphMessage, ModelMessage, NodeMessage, TensorMessage } from "../../src/onnx/messages.ts";
import { encodeModelMessage } from "../../src/onnx/wire.ts";

export function inModel(graph: GraphMessage, rest: Partial<ModelMessage> = {}): Uint8Array {
  return encodeModelMessage({ ir_version: 10, opset_import: [{ version: 20 }], graph, ...rest });
}

export function inTensor(tensor: TensorMessage): Uint8Array {
  return inModel({ initializer: [{ name: "w", ...tensor }] });
}

export function initializersOf(graph: Graph): Map<string, Tensor> {
  return new Map(
    [...graph.initializers].flatMap(({ name, initializer }) => (initializer ? [[name, initializer]] : [])),
  );
}

export function scalar(name: string): TensorMessage {
  return { name, data_type: 1, float_data: [1] };
}

export function bodied(...node: NodeMessage[]): NodeMessage {
  return { op_type: "If", output: ["o"], attribute: [{ name: "then_branch", type: 5, g: { node } }] };
}

export function withAttributes(...attribute: NonNullable<NodeMessage["attribute"]>): ModelMessage {
  return { ir_version: 10, graph: { node: [{ op_type: "Op", output: ["y"], attribute }] } };
}

/** A model that adds a constant to its input. */
export function adder(tensor: Tensor, name = "w"): Model {
  const graph = new Graph("adder");
  const x = graph.addInput({
    name: "x",
    type: { kind: "tensor", dtype: "float32", shape: [1, 1] },
  });
  const add = new Node({ op: "Add", inputs: [x, graph.addInitializer(tensor, name)] });
  add.output().name = "y";
  graph.insert(add);
  graph.addOutput(add.output());
  return new Model({ graph });
}

/** A weight too large to go inside by itself. */
export const large = (fill = 1): Tensor => float32Tensor(Array(1000).fill(fill));
