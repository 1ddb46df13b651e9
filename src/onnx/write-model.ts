/** Turns models and functions into messages. */
import type { Model, ModelFunction } from "../ir/model.ts";
import { assignNames } from "../ir/names.ts";
import { carriedFields } from "./carried.ts";
import { writeEntries } from "./entries.ts";
import { fromInt } from "./integers.ts";
import type {
  FunctionMessage,
  ModelMessage,
  NodeMessage,
  OpsetMessage,
  ValueInfoMessage,
} from "./messages.ts";
import {
  type GraphWriting,
  writeAttribute,
  writeGraph,
  writeInfo,
  writeNode,
  writeValueInfos,
} from "./write-graph.ts";

/** The message of a model; gives its values their final names first. */
export function writeModelMessage(model: Model, writing: GraphWriting): ModelMessage {
  assignNames(model);
  const { training_info, configuration, $unknowns } = carriedFields(model.carried);
  return {
    ir_version: model.irVersion,
    ...(model.producerName === "" ? {} : { producer_name: model.producerName }),
    ...(model.producerVersion === "" ? {} : { producer_version: model.producerVersion }),
    ...(model.domain === "" ? {} : { domain: model.domain }),
    ...(model.modelVersion === 0 ? {} : { model_version: fromInt(model.modelVersion) }),
    ...(model.docString === "" ? {} : { doc_string: model.docString }),
    graph: writeGraph(model.graph, writing),
    opset_import: writeOpsets(model.opsets),
    metadata_props: writeEntries(model.metadata),
    functions: [...model.functions.values()].map((fn) => writeFunction(fn, writing)),
    ...(training_info === undefined ? {} : { training_info }),
    ...(configuration === undefined ? {} : { configuration }),
    ...($unknowns === undefined ? {} : { $unknowns }),
  };
}

function writeFunction(fn: ModelFunction, writing: GraphWriting): FunctionMessage {
  const { body } = fn;
  const { $unknowns } = carriedFields(fn.carried);
  return {
    name: fn.name,
    input: body.inputs.map(({ name }) => name),
    output: body.outputs.map(({ name }) => name),
    attribute: [...fn.attributes],
    node: [...writeConstants(fn, writing), ...[...body.nodes()].map((node) => writeNode(node, writing))],
    ...(fn.docString === "" ? {} : { doc_string: fn.docString }),
    opset_import: writeOpsets(fn.opsets),
    ...(fn.domain === "" ? {} : { domain: fn.domain }),
    attribute_proto: [...fn.defaults].map(([name, value]) => writeAttribute(name, value, writing)),
    value_info: [...writeFormals(fn, writing), ...writeValueInfos(body, writing)],
    ...(fn.overload === "" ? {} : { overload: fn.overload }),
    metadata_props: writeEntries(fn.metadata),
    ...($unknowns === undefined ? {} : { $unknowns }),
  };
}

/** ONNX gives function bodies no initializers: a Constant node each. */
function writeConstants({ body }: ModelFunction, writing: GraphWriting): NodeMessage[] {
  return [...body.initializers].flatMap(({ initializer, name }) => {
    if (initializer === undefined) return [];
    const value = writeAttribute("value", { kind: "tensor", value: initializer }, writing);
    return [{ output: [name], op_type: "Constant", attribute: [value] }];
  });
}

/** A function's inputs and outputs are bare names: what is known of them stands with the other values. */
function writeFormals({ body }: ModelFunction, { valueInfo }: GraphWriting): ValueInfoMessage[] {
  const formals = [...new Set([...body.inputs, ...body.outputs])];
  return valueInfo ? formals.filter(({ type }) => type !== undefined).map(writeInfo) : [];
}

function writeOpsets(opsets: ReadonlyMap<string, number>): OpsetMessage[] {
  return [...opsets].map(([domain, version]) => ({ domain, version }));
}
