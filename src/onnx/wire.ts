/** Bytes to ONNX messages and back, through protobufjs; unknown fields survive. */
import protobuf from "protobufjs";
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { ModelMessage } from "./messages.ts";
import { onnxSchema } from "./schema.ts";

const { root } = protobuf.parse(onnxSchema, { keepCase: true });
const modelType = root.lookupType("onnx.ModelProto");

/** Decodes a model. @throws DiagnosticError `E_ONNX_MALFORMED` for bytes that are no ModelProto. */
export function decodeModelMessage(bytes: Uint8Array, file: string): ModelMessage {
  const reader = protobuf.Reader.create(bytes);
  reader.discardUnknown = false;
  try {
    return modelType.decode(reader);
  } catch (error) {
    throw onnxErrors.E_ONNX_MALFORMED(file, error instanceof Error ? error.message : String(error));
  }
}

/** Encodes a model. */
export function encodeModelMessage(message: ModelMessage): Uint8Array {
  return modelType.encode(message).finish();
}
