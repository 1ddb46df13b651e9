/** Turns attribute messages into attributes, subgraphs included. */
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { Attribute, AttributeKind } from "../ir/attribute.ts";
import type { Graph } from "../ir/graph.ts";
import type { ValueType } from "../ir/type.ts";
import { toInt } from "./integers.ts";
import type { AttributeMessage, GraphMessage, TypeMessage } from "./messages.ts";
import { readSparseTensor, readTensor, type TensorContext } from "./read-tensor.ts";
import { readType } from "./types.ts";

/** AttributeProto.AttributeType by code. */
export const attributeKinds: readonly (AttributeKind | undefined)[] = [
  undefined,
  "float",
  "int",
  "string",
  "tensor",
  "graph",
  "floats",
  "ints",
  "strings",
  "tensors",
  "graphs",
  "sparse",
  "sparses",
  "type",
  "types",
];

/**
 * The attributes of a node, or the defaults of a function, by name.
 *
 * @param owner the node or function, for messages.
 * @throws DiagnosticError `E_ONNX_DUPLICATE`, `E_ONNX_ATTRIBUTE` where declared type and content do not agree.
 */
export function readAttributes(
  messages: readonly AttributeMessage[] | undefined,
  owner: string,
  context: TensorContext,
  readBody: (message: GraphMessage) => Graph,
): Map<string, Attribute> {
  const attributes = new Map<string, Attribute>();
  for (const message of messages ?? []) {
    const { name = "" } = message;
    if (attributes.has(name)) throw onnxErrors.E_ONNX_DUPLICATE(owner, "attribute", name);
    attributes.set(name, readAttribute(message, owner, context, readBody));
  }
  return attributes;
}

function readAttribute(
  message: AttributeMessage,
  owner: string,
  context: TensorContext,
  readBody: (message: GraphMessage) => Graph,
): Attribute {
  const { name = "", type = 0 } = message;
  const kind = type === 0 ? kindOf(message) : attributeKinds[type];
  if (kind === undefined) throw onnxErrors.E_ONNX_ATTRIBUTE(owner, name, `type ${type}`);
  if (message.ref_attr_name !== undefined && message.ref_attr_name !== "") {
    return { kind: "reference", value: message.ref_attr_name, type: kind };
  }
  const missing = (): never => {
    throw onnxErrors.E_ONNX_ATTRIBUTE(owner, name, `no value of type ${kind}`);
  };
  const typeOf = (type: TypeMessage | undefined): ValueType =>
    readType(type, `attribute "${name}" of ${owner}`) ?? missing();
  switch (kind) {
    // Numbers and texts that are absent are 0 and empty: writers may leave such values out.
    case "float":
      return { kind, value: message.f ?? 0 };
    case "int":
      return { kind, value: toInt(message.i) };
    case "string":
      return { kind, value: readText(message.s ?? new Uint8Array()) };
    case "tensor":
      return { kind, value: readTensor(message.t ?? missing(), context) };
    case "graph":
      return { kind, value: readBody(message.g ?? missing()) };
    case "sparse":
      return { kind, value: readSparseTensor(message.sparse_tensor ?? missing(), context) };
    case "type":
      return { kind, value: typeOf(message.tp) };
    case "floats":
      return { kind, value: message.floats ?? [] };
    case "ints":
      return { kind, value: (message.ints ?? []).map(toInt) };
    case "strings":
      return { kind, value: (message.strings ?? []).map(readText) };
    case "tensors":
      return { kind, value: (message.tensors ?? []).map((tensor) => readTensor(tensor, context)) };
    case "graphs":
      return { kind, value: (message.graphs ?? []).map(readBody) };
    case "sparses":
      return {
        kind,
        value: (message.sparse_tensors ?? []).map((sparse) => readSparseTensor(sparse, context)),
      };
    case "types":
      return { kind, value: (message.type_protos ?? []).map(typeOf) };
  }
}

/** Before IR version 2 attributes had no type: the field that is there tells. */
function kindOf(message: AttributeMessage): AttributeKind | undefined {
  if (message.f !== undefined) return "float";
  if (message.i !== undefined) return "int";
  if (message.s !== undefined) return "string";
  if (message.t !== undefined) return "tensor";
  if (message.g !== undefined) return "graph";
  if (message.floats !== undefined) return "floats";
  if (message.ints !== undefined) return "ints";
  if (message.strings !== undefined) return "strings";
  if (message.tensors !== undefined) return "tensors";
  return message.graphs !== undefined ? "graphs" : undefined;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function readText(bytes: Uint8Array): string | Uint8Array {
  try {
    return decoder.decode(bytes);
  } catch {
    return bytes;
  }
}
