/** Tells parameters of a model from constants of its arithmetic. */
import { constantOf } from "../ir/constant.ts";
import { type DType, isFloat } from "../ir/dtype.ts";
import type { Value } from "../ir/value.ts";

/** Narrow types that quantised weights have. */
const narrow: ReadonlySet<DType> = new Set(["int8", "uint8", "int4", "uint4", "int2", "uint2"]);

/**
 * Whether a value is a constant that may be a weight: a float or quantised tensor of rank 1 or more. What adapters look
 * for and checkpoints name must not be merged with an equal one, nor hidden in a computed one, nor dropped because its
 * values happen to be 0 or 1.
 */
export function mayBeParameter(value: Value): boolean {
  const tensor = constantOf(value);
  return (
    tensor !== undefined && tensor.dims.length > 0 && (isFloat(tensor.dtype) || narrow.has(tensor.dtype))
  );
}
