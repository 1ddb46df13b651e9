/** Gradients by values of any type: zeros and sums of tensors, and of sequences element by element. */
import type { ValueType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { mapSequence } from "./map-sequence.ts";

/** The type of the gradient by a value: that of the value; that of the element for an optional. */
export function cotangentType(type: ValueType | undefined): ValueType | undefined {
  return type?.kind === "optional" ? cotangentType(type.element) : type;
}

/** A gradient that is zero, shaped as the value. An optional must hold something by then. */
export function zeroCotangent(b: OpBuilder, value: Value): Value {
  if (value.type?.kind === "optional") return zeroCotangent(b, b.op("OptionalGetElement", [value]));
  if (value.type?.kind !== "sequence") return b.zerosLike(value);
  return mapSequence(b, value, (inner, element) => inner.zerosLike(element));
}

/** The sum of two gradients by one value. Readers of quantised numbers may compute theirs in several float types. */
export function addCotangents(b: OpBuilder, left: Value, right: Value): Value {
  if (left.type?.kind !== "sequence") return b.add(left, b.castLike(right, left));
  return mapSequence(b, left, (inner, element, index) =>
    inner.add(element, inner.op("SequenceAt", [right, index])),
  );
}
