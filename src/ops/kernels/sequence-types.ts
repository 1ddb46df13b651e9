/** Types of sequences and of what is taken out of them. */
import { type Dim, unknownDim } from "../../ir/dim.ts";
import { type TensorType, tensorType, type ValueType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";

/** A sequence of tensors. */
export function sequenceType(element: TensorType): ValueType {
  return { kind: "sequence", element };
}

/** What a sequence holds; undefined where that is not known to be tensors. */
export function elementType(type: ValueType | undefined): TensorType | undefined {
  return type?.kind === "sequence" && type.element.kind === "tensor" ? type.element : undefined;
}

/**
 * The type of one element: dimensions that are not known are others in each. What a file says of a sequence by names holds
 * for each element alone, too.
 */
export function takenType(sequence: Value): TensorType | undefined {
  const element = elementType(sequence.type);
  const renew = (dim: Dim): Dim =>
    typeof dim !== "number" && (sequence.producer === undefined || dim.key.includes("?"))
      ? unknownDim()
      : dim;
  return element && tensorType(element.dtype, element.shape?.map(renew));
}

/** Whether a sequence is known to hold nothing yet, so that its type says nothing of what it will hold. */
export function isEmptySequence(value: Value | undefined): boolean {
  return value?.producer?.op === "SequenceEmpty" && value.producer.domain === "";
}
