/** Conversion of elements between types, as ONNX Cast does it. */
import { InternalError } from "../../diagnostics/define.ts";
import { isSmallFloat, roundToSmallFloat } from "../../formats/small-floats.ts";
import { type DType, isFloat } from "../../ir/dtype.ts";
import { isComputable } from "../elements.ts";
import { allocate, fromNumbers, NDArray } from "../ndarray.ts";
import { parseFloat64, parseInteger, printElements } from "./number-text.ts";

/**
 * Converts every element: floats round to nearest even, fractions are cut off towards zero, whole numbers
 * wrap, and everything but 0 is true.
 *
 * @param exact keeps floats that become other floats unrounded.
 * @param saturate keeps what is too large for 8-bit floats at their largest number, instead of infinity or NaN.
 * @throws InternalError for types that the evaluator cannot hold, and text that is no number.
 */
export function convertElements(x: NDArray, dtype: DType, exact = false, saturate = true): NDArray {
  if (x.dtype === dtype) return x;
  if (dtype === "string") return new NDArray(dtype, x.shape, printElements(x));
  if (!isComputable(dtype)) throw new InternalError(`conversion from ${x.dtype} to ${dtype}`);
  if (x.dtype === "string") return convertElements(parseElements(x, dtype), dtype, exact, saturate);
  const { data } = x;
  if (dtype === "bool") {
    const flags = Float64Array.from({ length: x.size }, (_, i) => (Number(data[i]) === 0 ? 0 : 1));
    return new NDArray(dtype, x.shape, flags);
  }
  if (dtype === "int64" || dtype === "uint64") {
    const out = allocate(dtype, x.size);
    for (let i = 0; i < x.size; i++) out[i] = wholeNumber(data[i] ?? 0);
    return new NDArray(dtype, x.shape, out);
  }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    // The low 32 bits decide what a narrower integer holds; a double would lose them.
    const convert = isFloat(dtype) ? Number : (value: bigint) => Number(BigInt.asIntN(32, value));
    return fromNumbers(dtype, x.shape, Array.from<bigint, number>(data, convert), exact);
  }
  const numbers = x.toNumbers();
  if (isSmallFloat(dtype) && !saturate) {
    const rounded = numbers.map((value) => roundToSmallFloat(dtype, value, false));
    return new NDArray(dtype, x.shape, Float64Array.from(rounded));
  }
  return fromNumbers(dtype, x.shape, numbers, exact);
}

/** Texts as doubles where they become floats, as whole numbers where not. */
function parseElements({ data, shape }: NDArray, dtype: DType): NDArray {
  const texts = Array.from<number | bigint | string, string>(data, String);
  if (isFloat(dtype)) return new NDArray("float64", shape, Float64Array.from(texts, parseFloat64));
  return new NDArray("int64", shape, BigInt64Array.from(texts, parseInteger));
}

/**
 * What does not fit (infinities, no number) becomes the least value, as conversion in C does on common
 * machines.
 */
function wholeNumber(value: number | bigint | string): bigint {
  if (typeof value === "bigint") return value;
  const number = Math.trunc(Number(value));
  return Number.isFinite(number) && Math.abs(number) < 2 ** 64 ? BigInt(number) : -(2n ** 63n);
}
