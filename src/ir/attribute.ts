/** Attributes of nodes, one variant per ONNX attribute type. */
import type { Graph } from "./graph.ts";
import type { Tensor } from "./tensor.ts";
import type { ValueType } from "./type.ts";

/** A whole number; `bigint` only where it does not fit a double exactly. */
export type AttributeInt = number | bigint;

/** A sparse constant: values and their indices as ONNX stores them. */
export interface SparseTensor {
  readonly values: Tensor;
  readonly indices: Tensor;
  readonly dims: readonly number[];
}

/** The value of an attribute, tagged with its ONNX type. */
export type Attribute =
  | { readonly kind: "int"; readonly value: AttributeInt }
  | { readonly kind: "float"; readonly value: number }
  /** Bytes where they are not valid UTF-8. */
  | { readonly kind: "string"; readonly value: string | Uint8Array }
  | { readonly kind: "tensor"; readonly value: Tensor }
  | { readonly kind: "graph"; readonly value: Graph }
  | { readonly kind: "sparse"; readonly value: SparseTensor }
  | { readonly kind: "type"; readonly value: ValueType }
  | { readonly kind: "ints"; readonly value: readonly AttributeInt[] }
  | { readonly kind: "floats"; readonly value: readonly number[] }
  | { readonly kind: "strings"; readonly value: readonly (string | Uint8Array)[] }
  | { readonly kind: "tensors"; readonly value: readonly Tensor[] }
  | { readonly kind: "graphs"; readonly value: readonly Graph[] }
  | { readonly kind: "sparses"; readonly value: readonly SparseTensor[] }
  | { readonly kind: "types"; readonly value: readonly ValueType[] }
  /** Inside a function body: the attribute of the call with this name; `type` is its declared kind. */
  | { readonly kind: "reference"; readonly value: string; readonly type: AttributeKind };

export type AttributeKind = Exclude<Attribute["kind"], "reference">;

/** What a caller may write for an attribute: plain values stand for the obvious kind (numbers for ints). */
export type AttributeLike = Attribute | number | bigint | string | readonly number[] | Tensor | Graph;

/** Subgraphs that an attribute holds, none for most. */
export function graphsOf(attribute: Attribute): readonly Graph[] {
  if (attribute.kind === "graph") return [attribute.value];
  return attribute.kind === "graphs" ? attribute.value : [];
}

/** A float attribute; plain numbers would be taken for ints. */
export function floatAttribute(value: number): Attribute {
  return { kind: "float", value };
}
