/** Bytes to ONNX messages and back, through protobufjs; fields that we do not know survive. */
import protobuf from "protobufjs";
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { ModelMessage } from "./messages.ts";
import { onnxSchema } from "./schema.ts";

const modelType = loadSchema().lookupType("onnx.ModelProto");

/**
 * Decodes a model. Fields that are absent from the bytes are absent from the messages.
 *
 * @throws DiagnosticError `E_ONNX_MALFORMED`, `E_ONNX_NESTING`, `E_ONNX_UTF8` for bytes that are no ModelProto.
 */
export function decodeModelMessage(bytes: Uint8Array, file: string): ModelMessage {
  const reader = new StrictReader(bytes);
  reader.discardUnknown = false;
  try {
    return modelType.decode(reader);
  } catch (error) {
    if (error instanceof InvalidText) throw onnxErrors.E_ONNX_UTF8(file, error.message);
    const reason = error instanceof Error ? error.message : String(error);
    if (reason === "max depth exceeded")
      throw onnxErrors.E_ONNX_NESTING(file, protobuf.Reader.recursionLimit);
    throw onnxErrors.E_ONNX_MALFORMED(file, reason);
  }
}

/** Encodes a model, fields in the order of their numbers. */
export function encodeModelMessage(message: ModelMessage): Uint8Array {
  const { buffer, byteOffset, length } = modelType.encode(message).finish();
  return new Uint8Array(buffer, byteOffset, length);
}

function loadSchema(): protobuf.Root {
  const { root } = protobuf.parse(onnxSchema, { keepCase: true });
  dropDefaults(root);
  return root;
}

/**
 * Lets messages have no properties but those that are decoded: protobufjs gives every one empty lists of its own, and
 * default values through the prototype, with which an absent field could not be told from an empty one.
 */
function dropDefaults(namespace: protobuf.NamespaceBase): void {
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Type) {
      nested.ctor = class extends protobuf.Message {};
      for (const { name } of nested.fieldsArray) Reflect.deleteProperty(nested.ctor.prototype, name);
    }
    if (nested instanceof protobuf.Namespace) dropDefaults(nested);
  }
}

/** Thrown by {@link StrictReader}; the message is the text as far as it can be read. */
class InvalidText extends Error {}

/** A reader that refuses strings which are not UTF-8, since names that are patched up may fall together. */
class StrictReader extends protobuf.Reader {
  override string(): string {
    const start = this.pos;
    try {
      return this.stringVerify();
    } catch (error) {
      if (error instanceof RangeError) throw error;
      this.pos = start;
      throw new InvalidText(super.string().slice(0, 80));
    }
  }
}
