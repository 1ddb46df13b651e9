/** What the evaluator holds for values that are no tensors: sequences, and optionals that are empty. */
import { InternalError } from "../diagnostics/define.ts";
import type { DType } from "../ir/dtype.ts";
import { NDArray } from "./ndarray.ts";

/** A sequence: an array without elements of its own, so that it goes wherever arrays go. */
export class SequenceArray extends NDArray {
  readonly items: readonly NDArray[];

  constructor(dtype: DType, items: readonly NDArray[]) {
    super(dtype, [0], new Float64Array(0));
    this.items = items;
  }
}

/** An optional without a value; one with a value is held as that value. */
export class EmptyOptional extends NDArray {
  constructor() {
    super("float32", [0], new Float64Array(0));
  }
}

/** @throws InternalError for an array that is no sequence. */
export function itemsOf(array: NDArray): readonly NDArray[] {
  if (array instanceof SequenceArray) return array.items;
  throw new InternalError("a tensor stands where a sequence is expected");
}
