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

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Name and value. @throws DiagnosticError `E_ONNX_ATTRIBUTE` where declared type and content do not agree. */
export function readAttribute(
  message: AttributeMessage,
  node: string,
  context: TensorContext,
  readBody: (message: GraphMessage) => Graph,
): [string, Attribute] {
  const name = message.name ?? "";
  const kind = attributeKinds[message.type ?? 0] ?? guessKind(message);
  if (kind === undefined) throw onnxErrors.E_ONNX_ATTRIBUTE(node, name, `type ${message.type ?? 0}`);
  if (message.ref_attr_name !== undefined && message.ref_attr_name !== "") {
    return [name, { kind: "reference", value: message.ref_attr_name, type: kind }];
  }
  const missing = (): never => {
    throw onnxErrors.E_ONNX_ATTRIBUTE(node, name, `no value of type ${kind}`);
  };
  switch (kind) {
    case "float":
      return [name, { kind, value: message.f ?? 0 }];
    case "int":
      return [name, { kind, value: toInt(message.i) }];
    case "string":
      return [name, { kind, value: readText(message.s ?? new Uint8Array()) }];
    case "tensor":
      return [name, { kind, value: readTensor(message.t ?? missing(), context) }];
    case "graph":
      return [name, { kind, value: readBody(message.g ?? missing()) }];
    case "sparse":
      return [name, { kind, value: readSparseTensor(message.sparse_tensor ?? missing(), context) }];
    case "type":
      return [name, { kind, value: requireType(message.tp, missing) }];
    case "floats":
      return [name, { kind, value: message.floats ?? [] }];
    case "ints":
      return [name, { kind, value: (message.ints ?? []).map(toInt) }];
    case "strings":
      return [name, { kind, value: (message.strings ?? []).map(readText) }];
    case "tensors":
      return [name, { kind, value: (message.tensors ?? []).map((tensor) => readTensor(tensor, context)) }];
    case "graphs":
      return [name, { kind, value: (message.graphs ?? []).map(readBody) }];
    case "sparses":
      return [
        name,
        { kind, value: (message.sparse_tensors ?? []).map((sparse) => readSparseTensor(sparse, context)) },
      ];
    case "types":
      return [name, { kind, value: (message.type_protos ?? []).map((type) => requireType(type, missing)) }];
  }
}

function requireType(message: TypeMessage | undefined, missing: () => never): ValueType {
  return readType(message) ?? missing();
}

/** Before IR version 2 attributes had no type: the field that is there tells. */
function guessKind(message: AttributeMessage): AttributeKind | undefined {
  if (Object.hasOwn(message, "f")) return "float";
  if (Object.hasOwn(message, "i")) return "int";
  if (Object.hasOwn(message, "s")) return "string";
  if (message.t != null && Object.hasOwn(message, "t")) return "tensor";
  if (message.g != null && Object.hasOwn(message, "g")) return "graph";
  if ((message.ints?.length ?? 0) > 0) return "ints";
  if ((message.floats?.length ?? 0) > 0) return "floats";
  return (message.strings?.length ?? 0) > 0 ? "strings" : undefined;
}

function readText(bytes: Uint8Array): string | Uint8Array {
  try {
    return decoder.decode(bytes);
  } catch {
    return bytes;
  }
}
