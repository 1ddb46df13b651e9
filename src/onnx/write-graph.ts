/** Turns graphs, nodes and attributes into messages; names must be final. */
import { InternalError } from "../diagnostics/define.ts";
import type { Attribute, SparseTensor } from "../ir/attribute.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { writeEntries } from "./entries.ts";
import { fromInt } from "./integers.ts";
import type {
  AttributeMessage,
  GraphMessage,
  NodeMessage,
  SparseTensorMessage,
  TensorMessage,
  ValueInfoMessage,
} from "./messages.ts";
import { attributeKinds } from "./read-attribute.ts";
import { writeType } from "./types.ts";

/** How tensors are written: the caller decides whether data goes inside or stays elsewhere. */
export type TensorWriter = (tensor: Tensor, name: string) => TensorMessage;

export function writeGraph(
  graph: Graph,
  writeTensor: TensorWriter,
  options: { readonly valueInfo: boolean },
): GraphMessage {
  const outputs = new Set(graph.outputs);
  const inputs = new Set(graph.inputs);
  const infos: ValueInfoMessage[] = [];
  const nodes: NodeMessage[] = [];
  for (const node of graph.nodes()) {
    nodes.push(writeNode(node, writeTensor, options));
    if (!options.valueInfo) continue;
    for (const value of node.outputs) {
      if (value !== null && !outputs.has(value) && value.type !== undefined) infos.push(writeInfo(value));
    }
  }
  const data = [...graph.inputs, ...graph.initializers].flatMap((value) =>
    value.initializer === undefined || (inputs.has(value) && value.graph !== graph)
      ? []
      : [writeTensor(value.initializer, value.name)],
  );
  return {
    node: nodes,
    name: graph.name || "graph",
    initializer: data,
    ...(graph.docString === "" ? {} : { doc_string: graph.docString }),
    input: graph.inputs.map(writeInfo),
    output: graph.outputs.map(writeInfo),
    value_info: infos,
    metadata_props: writeEntries(graph.metadata),
  };
}

export function writeInfo(value: Value): ValueInfoMessage {
  const type = writeType(value.type);
  return {
    name: value.name,
    ...(type === undefined ? {} : { type }),
    ...(value.docString === "" ? {} : { doc_string: value.docString }),
    metadata_props: writeEntries(value.metadata),
  };
}

export function writeNode(
  node: Node,
  writeTensor: TensorWriter,
  options: { readonly valueInfo: boolean },
): NodeMessage {
  return {
    input: node.inputs.map((input) => input?.name ?? ""),
    output: node.outputs.map((output) => output?.name ?? ""),
    ...(node.name === "" ? {} : { name: node.name }),
    op_type: node.op,
    attribute: [...node.attributes].map(([name, attribute]) =>
      writeAttribute(name, attribute, writeTensor, options),
    ),
    ...(node.docString === "" ? {} : { doc_string: node.docString }),
    ...(node.domain === "" ? {} : { domain: node.domain }),
    ...(node.overload === "" ? {} : { overload: node.overload }),
    metadata_props: writeEntries(node.metadata),
  };
}

export function writeAttribute(
  name: string,
  attribute: Attribute,
  writeTensor: TensorWriter,
  options: { readonly valueInfo: boolean },
): AttributeMessage {
  const kind = attribute.kind === "reference" ? attribute.type : attribute.kind;
  const base: AttributeMessage = { name, type: attributeKinds.indexOf(kind) };
  switch (attribute.kind) {
    case "reference":
      return { ...base, ref_attr_name: attribute.value };
    case "float":
      return { ...base, f: attribute.value };
    case "int":
      return { ...base, i: fromInt(attribute.value) };
    case "string":
      return { ...base, s: writeText(attribute.value) };
    case "tensor":
      return { ...base, t: writeTensor(attribute.value, attribute.value.name) };
    case "graph":
      return { ...base, g: writeGraph(attribute.value, writeTensor, options) };
    case "sparse":
      return { ...base, sparse_tensor: writeSparse(attribute.value, writeTensor) };
    case "type":
      return { ...base, tp: writeType(attribute.value) ?? missingType(name) };
    case "floats":
      return { ...base, floats: [...attribute.value] };
    case "ints":
      return { ...base, ints: attribute.value.map(fromInt) };
    case "strings":
      return { ...base, strings: attribute.value.map(writeText) };
    case "tensors":
      return { ...base, tensors: attribute.value.map((tensor) => writeTensor(tensor, tensor.name)) };
    case "graphs":
      return { ...base, graphs: attribute.value.map((graph) => writeGraph(graph, writeTensor, options)) };
    case "sparses":
      return { ...base, sparse_tensors: attribute.value.map((sparse) => writeSparse(sparse, writeTensor)) };
    case "types":
      return { ...base, type_protos: attribute.value.map((type) => writeType(type) ?? missingType(name)) };
  }
}

function writeSparse(
  { values, indices, dims }: SparseTensor,
  writeTensor: TensorWriter,
): SparseTensorMessage {
  return {
    values: writeTensor(values, values.name),
    indices: writeTensor(indices, indices.name),
    dims: dims.map(fromInt),
  };
}

function writeText(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? new TextEncoder().encode(text) : text;
}

function missingType(name: string): never {
  throw new InternalError(`attribute "${name}" holds a type that cannot be written`);
}
