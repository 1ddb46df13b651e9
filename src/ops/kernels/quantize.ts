/** Arithmetic on quantized arrays: zero points, scales, and rounding back to narrow integers. */
import { isSmallFloat, largestSmallFloat, roundToSmallFloat } from "../../formats/small-floats.ts";
import { bitsOf, type DType } from "../../ir/dtype.ts";
import { NDArray } from "../ndarray.ts";
import { convertElements } from "./convert.ts";
import { mapPair } from "./elementwise.ts";
import { type ScaleAxis, scaleOffsets } from "./quantize-axis.ts";

/**
 * Which axis of an array a vector of zero points or scales belongs to: the one before last, the last, or the
 * first.
 */
export type Along = "rows" | "columns" | "first";

/** `x - zero` in doubles; without a zero point, `x` in doubles. */
export function shifted(x: NDArray, zero: NDArray | undefined, along: Along): NDArray {
  const wide = convertElements(x, "float64");
  if (zero === undefined) return wide;
  const by = spread(convertElements(zero, "float64"), along, x.rank);
  return mapPair(wide, by, { numbers: (a, b) => a - b }, { exact: true });
}

/** `x * scale` in doubles. */
export function scaled(x: NDArray, scale: NDArray, along: Along): NDArray {
  const by = spread(convertElements(scale, "float64"), along, x.rank);
  return mapPair(x, by, { numbers: (a, b) => a * b }, { exact: true });
}

/** `round(x / scale) + zero`, to even, cut at the bounds of the type; not rounded where `exact`. */
export function saturate(x: NDArray, scale: NDArray, zero: NDArray, along: Along, exact: boolean): NDArray {
  const { dtype } = zero;
  const divided = mapPair(
    x,
    spread(convertElements(scale, "float64"), along, x.rank),
    { numbers: (a, b) => a / b },
    { exact: true },
  );
  const rounded = exact ? divided.numbers : divided.numbers.map(roundToEven);
  const offset = spread(convertElements(zero, "float64"), along, x.rank);
  const sums = mapPair(
    new NDArray("float64", x.shape, rounded),
    offset,
    { numbers: (a, b) => a + b },
    { exact: true },
  );
  const [least, most] = cutsOf(dtype, exact);
  const cut = sums.numbers.map((value) => Math.min(most, Math.max(least, value)));
  return new NDArray(dtype, x.shape, cut);
}

/** Operands and attributes of QuantizeLinear and DequantizeLinear that say what the numbers mean. */
interface Scaling extends ScaleAxis {
  readonly scale: NDArray;
  readonly zero: NDArray | undefined;
}

/**
 * QuantizeLinear: `cut(round(x / scale) + zero)`, to even. The quotient is rounded to float32 first, as the runtime does.
 *
 * @param exact leaves out all rounding: the function that straight-through gradients are derivatives of.
 */
export function quantizeArray(
  x: NDArray,
  { scale, zero, saturate, ...axis }: Scaling & { readonly saturate: number },
  dtype: DType,
  exact: boolean,
): NDArray {
  const [values, scales] = [convertElements(x, "float64").numbers, convertElements(scale, "float64").numbers];
  const zeros = zero === undefined ? undefined : convertElements(zero, "float64").numbers;
  const offsets = scaleOffsets(x.shape, scale.shape, axis);
  const [least, most] = cutsOf(dtype, exact);
  const result = values.map((value, i) => {
    const at = offsets[i] ?? 0;
    const quotient = value / (scales[at] ?? 1);
    const shift = zeros?.[at] ?? 0;
    if (exact) return Math.min(most, Math.max(least, quotient + shift));
    const near = x.dtype === "float64" ? quotient : Math.fround(quotient);
    if (isSmallFloat(dtype)) return roundToSmallFloat(dtype, near, saturate !== 0);
    return Math.min(most, Math.max(least, roundToEven(near) + shift));
  });
  return new NDArray(dtype, x.shape, result);
}

/** DequantizeLinear: `(x - zero) * scale`, in doubles. */
export function dequantizeArray(x: NDArray, { scale, zero, ...axis }: Scaling): Float64Array {
  const [values, scales] = [convertElements(x, "float64").numbers, convertElements(scale, "float64").numbers];
  const zeros = zero === undefined ? undefined : convertElements(zero, "float64").numbers;
  const offsets = scaleOffsets(x.shape, scale.shape, axis);
  return values.map((value, i) => {
    const at = offsets[i] ?? 0;
    return (value - (zeros?.[at] ?? 0)) * (scales[at] ?? 1);
  });
}

/** Scale and zero point of DynamicQuantizeLinear, in float32 arithmetic unless `exact`. */
export function dynamicScale(values: Float64Array, exact: boolean): { scale: number; zero: number } {
  const round = exact ? (value: number) => value : Math.fround;
  const least = values.reduce((low, value) => Math.min(low, value), 0);
  const most = values.reduce((high, value) => Math.max(high, value), 0);
  const scale = least === most ? 1 : round(round(most - least) / 255);
  const zero = Math.min(255, Math.max(0, round(-least / scale)));
  return { scale, zero: exact ? zero : roundToEven(zero) };
}

/** Gives a vector the axes that it needs to broadcast; one element is a scalar. */
function spread(vector: NDArray, along: Along, rank: number): NDArray {
  if (vector.size === 1) return vector.reshaped([]);
  if (along === "columns" || vector.rank !== 1) return vector;
  const trailing = along === "rows" ? 1 : rank - 1;
  return vector.reshaped([vector.size, ...new Array<number>(trailing).fill(1)]);
}

/**
 * Bounds of real numbers that count as inside a type: without rounding, half a step more than the type holds, since
 * straight-through gradients pass what rounds to a bound.
 */
function cutsOf(dtype: DType, exact: boolean): [number, number] {
  const [least, most] = boundsOf(dtype);
  const beyond = exact && !isSmallFloat(dtype) ? 0.5 : 0;
  return [least - beyond, most + beyond];
}

/** The least and the largest number of a quantised type. */
export function boundsOf(dtype: DType): [number, number] {
  if (isSmallFloat(dtype)) return [-largestSmallFloat(dtype), largestSmallFloat(dtype)];
  const bits = bitsOf(dtype);
  return dtype.startsWith("u") ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
