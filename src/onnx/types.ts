/** Types of values between messages and IR. */
import { onnxErrors } from "../diagnostics/onnx.ts";
import { type Dim, isUnknown, symbol, unknownDim } from "../ir/dim.ts";
import { type DType, dtypeCode, dtypeFromCode } from "../ir/dtype.ts";
import { mostAxes, type Shape } from "../ir/shape.ts";
import type { ValueType } from "../ir/type.ts";
import { fromInt, toInt } from "./integers.ts";
import type { DimensionMessage, ShapeMessage, TypeMessage } from "./messages.ts";

/**
 * The type that a message says; undefined where it says none.
 *
 * @param what the thing of that type, for messages.
 * @throws DiagnosticError `E_TENSOR_TYPE` for an element type that ONNX does not define, `E_TENSOR_DIMS` for too many axes.
 */
export function readType(message: TypeMessage | undefined, what: string): ValueType | undefined {
  if (message?.tensor_type !== undefined) return readTensorType("tensor", message.tensor_type, what);
  if (message?.sparse_tensor_type !== undefined)
    return readTensorType("sparse", message.sparse_tensor_type, what);
  if (message?.sequence_type !== undefined) {
    const element = readType(message.sequence_type.elem_type, what);
    return element === undefined ? undefined : { kind: "sequence", element };
  }
  if (message?.optional_type !== undefined) {
    const element = readType(message.optional_type.elem_type, what);
    return element === undefined ? undefined : { kind: "optional", element };
  }
  if (message?.map_type !== undefined) {
    const key = readDType(message.map_type.key_type, what);
    const value = readType(message.map_type.value_type, what);
    return key === undefined || value === undefined ? undefined : { kind: "map", key, value };
  }
  if (message?.opaque_type === undefined) return undefined;
  const { domain = "", name = "" } = message.opaque_type;
  return { kind: "opaque", domain, name };
}

function readTensorType(
  kind: "tensor" | "sparse",
  { elem_type, shape }: NonNullable<TypeMessage["tensor_type"]>,
  what: string,
): ValueType | undefined {
  const dtype = readDType(elem_type, what);
  if (dtype === undefined) return undefined;
  const dims = shape?.dim ?? [];
  if (dims.length > mostAxes) throw onnxErrors.E_TENSOR_DIMS(what, `${dims.length} of them`);
  return shape === undefined ? { kind, dtype } : { kind, dtype, shape: dims.map(readDim) };
}

/** Code 0 and none at all are what exporters write for types that they do not know. */
function readDType(code: number | undefined, what: string): DType | undefined {
  if (code === undefined || code === 0) return undefined;
  const dtype = dtypeFromCode(code);
  if (dtype === undefined) throw onnxErrors.E_TENSOR_TYPE(what, code);
  return dtype;
}

/** Negative sizes, which some exporters write for open ones, and names like those of our unknowns say nothing. */
function readDim({ dim_value, dim_param }: DimensionMessage): Dim {
  if (dim_value !== undefined) {
    const size = toInt(dim_value);
    return typeof size === "number" && size >= 0 ? size : unknownDim();
  }
  if (dim_param === undefined || dim_param === "") return unknownDim();
  const named = symbol(dim_param);
  return isUnknown(named) ? unknownDim() : named;
}

/** The message of a type; a symbolic expression becomes a dimension named by its text. */
export function writeType(type: ValueType | undefined): TypeMessage | undefined {
  switch (type?.kind) {
    case undefined:
      return undefined;
    case "tensor":
      return { tensor_type: { elem_type: dtypeCode(type.dtype), ...shapeField(type.shape) } };
    case "sparse":
      return { sparse_tensor_type: { elem_type: dtypeCode(type.dtype), ...shapeField(type.shape) } };
    case "sequence":
      return { sequence_type: elementField(type.element) };
    case "optional":
      return { optional_type: elementField(type.element) };
    case "map": {
      const value = writeType(type.value);
      return {
        map_type: { key_type: dtypeCode(type.key), ...(value === undefined ? {} : { value_type: value }) },
      };
    }
    case "opaque":
      return { opaque_type: { domain: type.domain, name: type.name } };
  }
}

function elementField(type: ValueType): { elem_type?: TypeMessage } {
  const element = writeType(type);
  return element === undefined ? {} : { elem_type: element };
}

function shapeField(shape: Shape | undefined): { shape?: ShapeMessage } {
  return shape === undefined ? {} : { shape: { dim: shape.map(writeDim) } };
}

function writeDim(dim: Dim): DimensionMessage {
  if (typeof dim === "number") return { dim_value: fromInt(dim) };
  return isUnknown(dim) ? {} : { dim_param: dim.key };
}
