/** Turns graphs, nodes and attributes into messages; names must be final. */
import { InternalError } from "../diagnostics/define.ts";
import type { Attribute, SparseTensor } from "../ir/attribute.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { type CarriedFields, carriedFields } from "./carried.ts";
import { writeEntries } from "./entries.ts";
import { fromInt } from "./integers.ts";
import type {
  AttributeMessage,
  GraphMessage,
  NodeMessage,
  SparseTensorMessage,
  ValueInfoMessage,
} from "./messages.ts";
import { attributeKinds } from "./read-attribute.ts";
import { writeType } from "./types.ts";
import type { TensorWriter } from "./write-tensor.ts";

export interface GraphWriting {
  readonly writeTensor: TensorWriter;
  /** Write the types of all intermediate values, not only of those that have a comment or metadata. */
  readonly valueInfo: boolean;
}

export function writeGraph(graph: Graph, writing: GraphWriting): GraphMessage {
  const data = [...graph.inputs, ...graph.initializers].flatMap(({ initializer, name }) =>
    initializer === undefined ? [] : [writing.writeTensor(initializer, name)],
  );
  return {
    node: [...graph.nodes()].map((node) => writeNode(node, writing)),
    name: graph.name === "" ? "graph" : graph.name,
    initializer: data,
    ...(graph.docString === "" ? {} : { doc_string: graph.docString }),
    input: graph.inputs.map(writeInfo),
    output: graph.outputs.map(writeInfo),
    value_info: writeValueInfos(graph, writing),
    metadata_props: writeEntries(graph.metadata),
    ...writeCarried(graph),
  };
}

/** Facts about a graph's constants and the results of its nodes, its outputs left out. */
export function writeValueInfos(graph: Graph, { valueInfo }: GraphWriting): ValueInfoMessage[] {
  const outputs = new Set(graph.outputs);
  const infos: ValueInfoMessage[] = [];
  const add = (value: Value, evenIfPlain: boolean): void => {
    // ONNX's checker refuses entries without a type.
    if (outputs.has(value) || value.type === undefined) return;
    if (evenIfPlain || value.docString !== "" || value.metadata.size > 0) infos.push(writeInfo(value));
  };
  for (const value of graph.initializers) add(value, false);
  for (const node of graph.nodes()) {
    for (const value of node.outputs) if (value !== null) add(value, valueInfo);
  }
  return infos;
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

export function writeNode(node: Node, writing: GraphWriting): NodeMessage {
  const { device_configurations, $unknowns } = carriedFields(node.carried);
  return {
    input: node.inputs.map((input) => input?.name ?? ""),
    output: node.outputs.map((output) => output?.name ?? ""),
    ...(node.name === "" ? {} : { name: node.name }),
    op_type: node.op,
    attribute: [...node.attributes].map(([name, attribute]) => writeAttribute(name, attribute, writing)),
    ...(node.docString === "" ? {} : { doc_string: node.docString }),
    ...(node.domain === "" ? {} : { domain: node.domain }),
    ...(node.overload === "" ? {} : { overload: node.overload }),
    metadata_props: writeEntries(node.metadata),
    ...(device_configurations === undefined ? {} : { device_configurations }),
    ...($unknowns === undefined ? {} : { $unknowns }),
  };
}

export function writeAttribute(name: string, attribute: Attribute, writing: GraphWriting): AttributeMessage {
  const { writeTensor } = writing;
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
      return { ...base, g: writeGraph(attribute.value, writing) };
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
      return { ...base, graphs: attribute.value.map((graph) => writeGraph(graph, writing)) };
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

/** As a Buffer, since small ones share memory, of which a million texts would take hundreds of bytes each. */
function writeText(text: string | Uint8Array): Uint8Array {
  return typeof text === "string" ? Buffer.from(text) : text;
}

function missingType(name: string): never {
  throw new InternalError(`attribute "${name}" holds a type that cannot be written`);
}

/** Annotations of tensors that passes have removed or renamed go: they would name nothing. */
function writeCarried(graph: Graph): CarriedFields {
  const { quantization_annotation: annotations, $unknowns } = carriedFields(graph.carried);
  const unknowns = $unknowns === undefined ? {} : { $unknowns };
  if (annotations === undefined) return unknowns;
  const names = new Set<string | undefined>([...graph.inputs, ...graph.initializers].map(({ name }) => name));
  for (const node of graph.nodes()) for (const output of node.outputs) names.add(output?.name);
  const kept = annotations.filter(
    ({ tensor_name, quant_parameter_tensor_names = [] }) =>
      names.has(tensor_name) && quant_parameter_tensor_names.every(({ value }) => names.has(value)),
  );
  return { ...unknowns, quantization_annotation: kept };
}
