/** Copies of graphs and models; tensors are shared by reference, so a copy costs its nodes only. */
import type { Attribute } from "./attribute.ts";
import { Graph } from "./graph.ts";
import { Model } from "./model.ts";
import { Node } from "./node.ts";
import { Value } from "./value.ts";

/** Which copy stands for which original. Values of surrounding graphs that are not in it stand for themselves. */
export type ValueMap = Map<Value, Value>;

/** Copies a model. `map`, where given, is filled with the copies of every value of the main graph. */
export function cloneModel(model: Model, map: ValueMap = new Map()): Model {
  const copy = new Model({
    irVersion: model.irVersion,
    opsets: model.opsets,
    graph: cloneGraph(model.graph, map),
  });
  for (const [key, value] of model.metadata) copy.metadata.set(key, value);
  for (const [key, fn] of model.functions) {
    copy.functions.set(key, { ...fn, body: cloneGraph(fn.body, new Map()), opsets: new Map(fn.opsets) });
  }
  const { producerName, producerVersion, domain, modelVersion, docString, origin, carried } = model;
  return Object.assign(copy, {
    producerName,
    producerVersion,
    domain,
    modelVersion,
    docString,
    origin,
    carried,
  });
}

/** Copies a graph with its subgraphs, adding every copied value to `map`. */
export function cloneGraph(graph: Graph, map: ValueMap): Graph {
  const copy = new Graph(graph.name);
  copy.docString = graph.docString;
  copy.carried = graph.carried;
  for (const [key, value] of graph.metadata) copy.metadata.set(key, value);
  for (const input of graph.inputs) {
    const value = copy.addInput({ name: input.name });
    value.initializer = input.initializer;
    map.set(input, copyFacts(input, value));
  }
  cloneInitializers(graph, copy, map);
  for (const node of graph.nodes()) copy.insert(cloneNode(node, map));
  copy.setOutputs(graph.outputs.map((output) => map.get(output) ?? output));
  return copy;
}

/** Copies the initializers of a graph into another, adding every copied value to `map`. */
export function cloneInitializers(graph: Graph, into: Graph, map: ValueMap): void {
  for (const initializer of graph.initializers) {
    if (initializer.initializer === undefined) continue;
    const copy = into.addInitializer(initializer.initializer, initializer.name);
    map.set(initializer, copyFacts(initializer, copy));
  }
}

/** Copies one node, reading the copies of its operands where `map` has them; its results are added to `map`. */
export function cloneNode(node: Node, map: ValueMap): Node {
  const copy = new Node({
    op: node.op,
    domain: node.domain,
    overload: node.overload,
    name: node.name,
    inputs: node.inputs.map((input) => (input === null ? null : (map.get(input) ?? input))),
    attributes: Object.fromEntries(
      [...node.attributes].map(([name, value]) => [name, cloneAttribute(value, map)]),
    ),
    outputs: node.outputs.map((output) => {
      if (output === null) return null;
      const value = copyFacts(output, new Value({ name: output.name }));
      map.set(output, value);
      return value;
    }),
  });
  copy.docString = node.docString;
  copy.carried = node.carried;
  for (const [key, value] of node.metadata) copy.metadata.set(key, value);
  return copy;
}

function cloneAttribute(attribute: Attribute, map: ValueMap): Attribute {
  if (attribute.kind === "graph") return { kind: "graph", value: cloneGraph(attribute.value, map) };
  if (attribute.kind !== "graphs") return attribute;
  return { kind: "graphs", value: attribute.value.map((graph) => cloneGraph(graph, map)) };
}

/** Lets a value say all that another says of itself but its name. */
export function copyFacts(from: Value, to: Value): Value {
  to.type = from.type;
  to.content = from.content;
  to.docString = from.docString;
  for (const [key, value] of from.metadata) to.metadata.set(key, value);
  return to;
}
