/** Value types between messages and IR. */
import { type Dim, isUnknown, symbol, unknownDim } from "../ir/dim.ts";
import { type DType, dtypeCode, dtypeFromCode } from "../ir/dtype.ts";
import type { Shape } from "../ir/shape.ts";
import type { ValueType } from "../ir/type.ts";
import { fromInt, toInt } from "./integers.ts";
import type { DimensionMessage, ShapeMessage, TypeMessage } from "./messages.ts";

const nestingLimit = 32;

/** The type that a message says; undefined where it says none, or an element type that ONNX does not define. */
export function readType(message: TypeMessage | undefined, depth = 0): ValueType | undefined {
  if (message === undefined || depth > nestingLimit) return undefined;
  const element = (inner: TypeMessage | undefined): ValueType | undefined => readType(inner, depth + 1);
  if (message.tensor_type != null) return tensorLike("tensor", message.tensor_type);
  if (message.sparse_tensor_type != null) return tensorLike("sparse", message.sparse_tensor_type);
  if (message.sequence_type != null) {
    const inner = element(message.sequence_type.elem_type);
    return inner === undefined ? undefined : { kind: "sequence", element: inner };
  }
  if (message.optional_type != null) {
    const inner = element(message.optional_type.elem_type);
    return inner === undefined ? undefined : { kind: "optional", element: inner };
  }
  if (message.map_type != null) {
    const key = dtypeFromCode(message.map_type.key_type ?? 0);
    const value = element(message.map_type.value_type);
    return key === undefined || value === undefined ? undefined : { kind: "map", key, value };
  }
  if (message.opaque_type != null) {
    return { kind: "opaque", domain: message.opaque_type.domain ?? "", name: message.opaque_type.name ?? "" };
  }
  return undefined;
}

function tensorLike(
  kind: "tensor" | "sparse",
  message: { elem_type?: number; shape?: ShapeMessage | null },
): ValueType | undefined {
  const dtype: DType | undefined = dtypeFromCode(message.elem_type ?? 0);
  if (dtype === undefined) return undefined;
  return message.shape == null
    ? { kind, dtype }
    : { kind, dtype, shape: (message.shape.dim ?? []).map(readDim) };
}

function readDim(message: DimensionMessage): Dim {
  if (message.dim_value !== undefined && Object.hasOwn(message, "dim_value")) {
    const value = toInt(message.dim_value);
    if (typeof value === "number" && value >= 0) return value;
  }
  const name = Object.hasOwn(message, "dim_param") ? message.dim_param : undefined;
  return name === undefined || name === "" ? unknownDim() : symbol(name);
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
