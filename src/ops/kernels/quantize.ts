/** Arithmetic on quantized arrays: zero points, scales, and rounding back to narrow integers. */
import { bitsOf, type DType } from "../../ir/dtype.ts";
import { fromNumbers, NDArray } from "../ndarray.ts";
import { convertElements } from "./convert.ts";
import { mapPair } from "./elementwise.ts";

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

/** `round(x / scale) + zero`, to even, cut at the bounds of the type. */
export function saturate(x: NDArray, scale: NDArray, zero: NDArray, along: Along): NDArray {
  const { dtype } = zero;
  const divided = mapPair(
    x,
    spread(convertElements(scale, "float64"), along, x.rank),
    { numbers: (a, b) => a / b },
    { exact: true },
  );
  const rounded = divided.numbers.map(roundToEven);
  const offset = spread(convertElements(zero, "float64"), along, x.rank);
  const sums = mapPair(
    new NDArray("float64", x.shape, rounded),
    offset,
    { numbers: (a, b) => a + b },
    { exact: true },
  );
  const [least, most] = boundsOf(dtype);
  return fromNumbers(
    dtype,
    x.shape,
    sums.numbers.map((value) => Math.min(most, Math.max(least, value))),
  );
}

/** Gives a vector the axes that it needs to broadcast; one element is a scalar. */
function spread(vector: NDArray, along: Along, rank: number): NDArray {
  if (vector.size === 1) return vector.reshaped([]);
  if (along === "columns" || vector.rank !== 1) return vector;
  const trailing = along === "rows" ? 1 : rank - 1;
  return vector.reshaped([vector.size, ...new Array<number>(trailing).fill(1)]);
}

function boundsOf(dtype: DType): [number, number] {
  const bits = bitsOf(dtype);
  return dtype.startsWith("u") ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
