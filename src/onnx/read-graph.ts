/** Turns graph messages into graphs: names become values, nodes are put in an order that can be computed. */
import { InternalError } from "../diagnostics/define.ts";
import { onnxErrors } from "../diagnostics/onnx.ts";
import { Graph } from "../ir/graph.ts";
import { Node } from "../ir/node.ts";
import { Value } from "../ir/value.ts";
import { readEntries } from "./entries.ts";
import type { FunctionMessage, GraphMessage, NodeMessage, ValueInfoMessage } from "./messages.ts";
import { readAttribute } from "./read-attribute.ts";
import { readTensor, type TensorContext } from "./read-tensor.ts";
import { readType } from "./types.ts";

/** Names that a graph can see: its own and those of the graphs around it. */
export class Scope {
  readonly #values = new Map<string, Value>();
  readonly #outer: Scope | undefined;
  readonly graph: string;

  constructor(graph: string, outer: Scope | undefined) {
    this.graph = graph;
    this.#outer = outer;
  }

  define(name: string, value: Value): void {
    if (this.#values.has(name)) throw onnxErrors.E_ONNX_DUPLICATE(this.graph, name);
    this.#values.set(name, value);
  }

  find(name: string): Value | undefined {
    return this.#values.get(name) ?? this.#outer?.find(name);
  }
}

export function readGraph(message: GraphMessage, context: TensorContext, outer: Scope | undefined): Graph {
  const graph = new Graph(message.name ?? "");
  graph.docString = message.doc_string ?? "";
  readEntries(message.metadata_props, graph.metadata);
  const scope = new Scope(graph.name, outer);
  const infos = new Map((message.value_info ?? []).map((info) => [info.name ?? "", info]));

  for (const info of message.input ?? []) {
    const input = graph.addInput({ name: info.name ?? "" });
    describe(input, info);
    scope.define(input.name, input);
  }
  const inputs = new Map(graph.inputs.map((input) => [input.name, input]));
  for (const tensor of message.initializer ?? []) {
    const data = readTensor(tensor, context);
    const input = inputs.get(data.name);
    if (input !== undefined) input.initializer = data;
    else scope.define(data.name, graph.addInitializer(data));
  }
  for (const sparse of message.sparse_initializer ?? []) {
    // Carried as it is: its value is dense to readers, and of unknown content to us.
    const name = sparse.values?.name ?? "";
    throw onnxErrors.E_ONNX_MALFORMED(
      context.source.name,
      `sparse initializer "${name}", which is not supported`,
    );
  }
  readNodes(graph, message.node ?? [], scope, infos, context);
  for (const info of message.output ?? []) {
    const value = scope.find(info.name ?? "");
    if (value === undefined)
      throw onnxErrors.E_ONNX_UNDEFINED(graph.name, "the graph's output", info.name ?? "");
    describe(value, info);
    graph.addOutput(value);
  }
  return graph;
}

/** The body of a function: its formal inputs and outputs are those of the graph. */
export function readFunctionBody(message: FunctionMessage, context: TensorContext): Graph {
  const named = (name: string): ValueInfoMessage => ({ name });
  return readGraph(
    {
      name: message.name ?? "",
      node: message.node ?? [],
      input: (message.input ?? []).map(named),
      output: (message.output ?? []).map(named),
      value_info: message.value_info ?? [],
    },
    context,
    undefined,
  );
}

function readNodes(
  graph: Graph,
  messages: readonly NodeMessage[],
  scope: Scope,
  infos: ReadonlyMap<string, ValueInfoMessage>,
  context: TensorContext,
): void {
  // All results are there before any node is built, so that order in the file does not matter.
  const results = messages.map((message) =>
    (message.output ?? []).map((name) => {
      if (name === "") return null;
      const value = new Value({ name });
      const info = infos.get(name);
      if (info !== undefined) describe(value, info);
      scope.define(name, value);
      return value;
    }),
  );
  const nodes = messages.map((message, index) => readNode(message, results[index] ?? [], scope, context));
  for (const node of inOrder(graph.name, nodes)) graph.insert(node);
}

function readNode(
  message: NodeMessage,
  outputs: (Value | null)[],
  scope: Scope,
  context: TensorContext,
): Node {
  const label = `${message.op_type ?? "?"} "${message.name ?? ""}"`;
  const inputs = (message.input ?? []).map((name) => {
    if (name === "") return null;
    const value = scope.find(name);
    if (value === undefined) throw onnxErrors.E_ONNX_UNDEFINED(scope.graph, label, name);
    return value;
  });
  const readBody = (body: GraphMessage): Graph => readGraph(body, context, scope);
  const node = new Node({
    op: message.op_type ?? "",
    domain: message.domain === "ai.onnx" ? "" : (message.domain ?? ""),
    overload: message.overload ?? "",
    name: message.name ?? "",
    inputs,
    outputs,
    attributes: Object.fromEntries(
      (message.attribute ?? []).map((attribute) => readAttribute(attribute, label, context, readBody)),
    ),
  });
  node.docString = message.doc_string ?? "";
  readEntries(message.metadata_props, node.metadata);
  return node;
}

/** The given order where it is valid, else a topological one (Kahn), stable in file order. */
function inOrder(graph: string, nodes: readonly Node[]): readonly Node[] {
  const position = new Map(nodes.map((node, index) => [node, index]));
  const needs = nodes.map((node) =>
    producersOf(node).filter((producer) => position.has(producer) && producer !== node),
  );
  const sorted = needs.every((producers, index) =>
    producers.every((producer) => (position.get(producer) ?? 0) < index),
  );
  if (sorted && !nodes.some((node) => producersOf(node).includes(node))) return nodes;
  const waiting = needs.map((producers) => new Set(producers).size);
  const readers = new Map<Node, number[]>();
  needs.forEach((producers, index) => {
    for (const producer of new Set(producers))
      readers.set(producer, [...(readers.get(producer) ?? []), index]);
  });
  const ready = waiting.flatMap((count, index) =>
    count === 0 && !producersOf(nodeAt(nodes, index)).includes(nodeAt(nodes, index)) ? [index] : [],
  );
  const order: Node[] = [];
  for (let at = 0; at < ready.length; at++) {
    const node = nodeAt(nodes, ready[at] ?? 0);
    order.push(node);
    for (const reader of readers.get(node) ?? []) {
      waiting[reader] = (waiting[reader] ?? 0) - 1;
      if (waiting[reader] === 0) ready.push(reader);
    }
  }
  if (order.length < nodes.length) {
    const done = new Set(order);
    const stuck = nodes.filter((node) => !done.has(node)).slice(0, 5);
    throw onnxErrors.E_ONNX_CYCLE(
      graph,
      stuck.map((node) => `${node.op} "${node.name}"`),
    );
  }
  return order;
}

function nodeAt(nodes: readonly Node[], index: number): Node {
  const node = nodes[index];
  if (node === undefined) throw new InternalError(`there is no node ${index}`);
  return node;
}

/** Nodes whose results a node reads, those that its bodies read from outside included. */
function producersOf(node: Node): Node[] {
  const values = [...node.inputs];
  for (const body of node.subgraphs()) {
    for (const inner of body.allNodes()) values.push(...inner.inputs);
    values.push(...body.outputs);
  }
  return values.flatMap((value) => value?.producer ?? []);
}

function describe(value: Value, info: ValueInfoMessage): void {
  value.type = readType(info.type ?? undefined) ?? value.type;
  value.docString = info.doc_string ?? "";
  readEntries(info.metadata_props, value.metadata);
}
