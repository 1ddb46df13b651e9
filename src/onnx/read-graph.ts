/** Turns graph messages into graphs: names become values, nodes are put in an order that can be computed. */
import { onnxErrors } from "../diagnostics/onnx.ts";
import { Graph } from "../ir/graph.ts";
import { Node } from "../ir/node.ts";
import { Value } from "../ir/value.ts";
import { carry } from "./carried.ts";
import { readEntries } from "./entries.ts";
import type {
  FunctionMessage,
  GraphMessage,
  NodeMessage,
  SparseTensorMessage,
  ValueInfoMessage,
} from "./messages.ts";
import { orderNodes } from "./order-nodes.ts";
import { readAttributes } from "./read-attribute.ts";
import { readSparseTensor, readTensor, type TensorContext } from "./read-tensor.ts";
import { Scope } from "./scope.ts";
import { readType } from "./types.ts";

/** What reading a graph needs to know of its model. */
export interface GraphContext extends TensorContext {
  /** Version of ai.onnx. */
  readonly opset: number;
}

/**
 * Reads a graph with its subgraphs.
 *
 * @param outer names of the graphs around it.
 * @throws DiagnosticError `E_ONNX_*` for names that are missing or taken twice, circles, and what tensors throw.
 */
export function readGraph(message: GraphMessage, context: GraphContext, outer: Scope | undefined): Graph {
  const graph = new Graph(message.name ?? "");
  graph.docString = message.doc_string ?? "";
  readEntries(message.metadata_props, graph.metadata);
  const { quantization_annotation, $unknowns } = message;
  graph.carried = carry({ quantization_annotation, $unknowns });

  const scope = new Scope(graph.name, outer);
  for (const info of message.input ?? []) {
    const input = graph.addInput({ name: info.name ?? "" });
    describe(input, info);
    scope.define(input.name, input);
  }
  const infos = new Map((message.value_info ?? []).map((info) => [info.name ?? "", info]));
  readInitializers(graph, message, infos, scope, context);
  readNodes(graph, message, infos, scope, context);
  for (const info of message.output ?? []) {
    const value = scope.require(info.name ?? "", "the graph's output");
    // Inputs and initializers have said themselves what they are.
    if (value.producer?.graph === graph) describe(value, info);
    graph.addOutput(value);
  }
  return graph;
}

/** The body of a function: its formal inputs and outputs are those of the graph. */
export function readFunctionBody(message: FunctionMessage, context: GraphContext): Graph {
  const infos = new Map((message.value_info ?? []).map((info) => [info.name ?? "", info]));
  const { name = "", input = [], output = [], node = [], value_info = [] } = message;
  const body = {
    name,
    node,
    input: input.map((formal) => infos.get(formal) ?? { name: formal }),
    output: output.map((formal) => infos.get(formal) ?? { name: formal }),
    value_info,
  };
  return readGraph(body, context, undefined);
}

/** What is said of values beside where they are defined. */
type Infos = ReadonlyMap<string, ValueInfoMessage>;

function readInitializers(
  graph: Graph,
  message: GraphMessage,
  infos: Infos,
  scope: Scope,
  context: GraphContext,
): void {
  const inputs = new Map(graph.inputs.map((input) => [input.name, input]));
  for (const tensor of message.initializer ?? []) {
    const data = readTensor(tensor, context);
    const input = inputs.get(data.name);
    if (input === undefined) {
      const value = graph.addInitializer(data);
      const { doc_string, metadata_props } = infos.get(data.name) ?? {};
      // Its type is the data's own.
      describe(value, { doc_string, metadata_props });
      scope.define(data.name, value);
    } else if (input.initializer === undefined) input.initializer = data;
    else throw onnxErrors.E_ONNX_DUPLICATE(`graph "${graph.name}"`, "initializer", data.name);
  }
}

function readNodes(
  graph: Graph,
  message: GraphMessage,
  infos: Infos,
  scope: Scope,
  context: GraphContext,
): void {
  const define = (name: string): Value => {
    const value = new Value({ name });
    const info = infos.get(name);
    if (info !== undefined) describe(value, info);
    scope.define(name, value);
    return value;
  };
  for (const sparse of message.sparse_initializer ?? []) {
    graph.insert(sparseConstant(sparse, define, context));
  }
  const messages = message.node ?? [];
  // All results are there before any node is built, so that order in the file does not matter.
  const results = messages.map(({ output = [] }) =>
    output.map((name) => (name === "" ? null : define(name))),
  );
  const nodes = messages.map((node, index) => readNode(node, results[index] ?? [], scope, context));
  for (const node of orderNodes(graph.name, nodes)) graph.insert(node);
}

/** A sparse initializer as the node that stands for the same: the IR has no sparse values. */
function sparseConstant(
  message: SparseTensorMessage,
  define: (name: string) => Value,
  context: GraphContext,
): Node {
  const name = message.values?.name ?? "";
  if (context.opset < 11) throw onnxErrors.E_ONNX_SPARSE(name, context.opset);
  const value = readSparseTensor(message, context);
  const output = define(name);
  output.type ??= { kind: "tensor", dtype: value.values.dtype, shape: value.dims };
  return new Node({
    op: "Constant",
    inputs: [],
    attributes: { sparse_value: { kind: "sparse", value } },
    outputs: [output],
  });
}

function readNode(
  message: NodeMessage,
  outputs: readonly (Value | null)[],
  scope: Scope,
  context: GraphContext,
): Node {
  const {
    op_type: op = "",
    name = "",
    domain = "",
    overload = "",
    device_configurations,
    $unknowns,
  } = message;
  if (op === "") throw onnxErrors.E_ONNX_NODE(`graph "${scope.graph}"`, `node "${name}" names no operator`);
  const label = `${op} "${name}"`;
  const attributes = readAttributes(message.attribute, label, context, (body) =>
    readGraph(body, context, scope),
  );
  const node = new Node({
    op,
    domain: domain === "ai.onnx" ? "" : domain,
    overload,
    name,
    inputs: (message.input ?? []).map((input) => (input === "" ? null : scope.require(input, label))),
    outputs,
    attributes: Object.fromEntries(attributes),
  });
  node.docString = message.doc_string ?? "";
  readEntries(message.metadata_props, node.metadata);
  node.carried = carry({ device_configurations, $unknowns });
  return node;
}

function describe(
  value: Value,
  info: { [Field in "type" | "doc_string" | "metadata_props"]?: ValueInfoMessage[Field] | undefined },
): void {
  value.type = readType(info.type, `value "${value.name}"`) ?? value.type;
  value.docString = info.doc_string ?? value.docString;
  readEntries(info.metadata_props, value.metadata);
}
