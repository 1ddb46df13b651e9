/** Types of ONNX values: tensors with symbolic shapes, sequences, optionals and the rest kept as they are. */
import type { DType } from "./dtype.ts";
import { formatShape, type Shape } from "./shape.ts";

/** A dense tensor; `shape` is absent where even the rank is unknown. */
export interface TensorType {
  readonly kind: "tensor";
  readonly dtype: DType;
  readonly shape?: Shape;
}

/** A type of ONNX; map, opaque and sparse tensors are carried but never computed with. */
export type ValueType =
  | TensorType
  | { readonly kind: "sparse"; readonly dtype: DType; readonly shape?: Shape }
  | { readonly kind: "sequence"; readonly element: ValueType }
  | { readonly kind: "optional"; readonly element: ValueType }
  | { readonly kind: "map"; readonly key: DType; readonly value: ValueType }
  | { readonly kind: "opaque"; readonly domain: string; readonly name: string };

/** A tensor type; an undefined shape is left out. */
export function tensorType(dtype: DType, shape?: Shape): TensorType {
  return shape === undefined ? { kind: "tensor", dtype } : { kind: "tensor", dtype, shape };
}

/** Text of a type for messages, such as `float32[batch, 8]`. */
export function formatType(type: ValueType | undefined): string {
  if (type === undefined) return "unknown type";
  switch (type.kind) {
    case "tensor":
      return `${type.dtype}${formatShape(type.shape)}`;
    case "sparse":
      return `sparse ${type.dtype}${formatShape(type.shape)}`;
    case "sequence":
      return `sequence of ${formatType(type.element)}`;
    case "optional":
      return `optional ${formatType(type.element)}`;
    case "map":
      return `map from ${type.key} to ${formatType(type.value)}`;
    case "opaque":
      return `opaque ${type.domain}/${type.name}`;
  }
}
