/** Element-wise evaluation with NumPy broadcasting. */
import { InternalError } from "../../diagnostics/define.ts";
import type { DType } from "../../ir/dtype.ts";
import { broadcastShapes, countElements, staticShape } from "../../ir/shape.ts";
import { allocate, type Elements, fromNumbers, NDArray, stridesOf } from "../ndarray.ts";

interface Exactness {
  readonly exact: boolean;
}

/** Applies a function to every element of a float (or small integer) array; the type stays. */
export function mapNumbers(x: NDArray, fn: (x: number) => number, { exact }: Exactness): NDArray {
  if (x.data instanceof BigInt64Array || x.data instanceof BigUint64Array) {
    return fromNumbers(
      x.dtype,
      x.shape,
      Array.from<bigint, number>(x.data, (value) => fn(Number(value))),
      exact,
    );
  }
  return fromNumbers(x.dtype, x.shape, x.numbers.map(fn), exact);
}

/** Flat offsets into an operand for each element of the broadcast result. */
export function broadcastOffsets(from: readonly number[], to: readonly number[]): Int32Array {
  const size = countElements(to);
  const offsets = new Int32Array(size);
  const strides = stridesOf(from);
  const padded = to.map((_, axis) => {
    const at = axis - to.length + from.length;
    return at < 0 || from[at] === 1 ? 0 : (strides[at] ?? 0);
  });
  const index = new Array<number>(to.length).fill(0);
  let offset = 0;
  for (let i = 0; i < size; i++) {
    offsets[i] = offset;
    for (let axis = to.length - 1; axis >= 0; axis--) {
      const stride = padded[axis] ?? 0;
      const dim = to[axis] ?? 1;
      index[axis] = (index[axis] ?? 0) + 1;
      offset += stride;
      if ((index[axis] ?? 0) < dim) break;
      offset -= stride * dim;
      index[axis] = 0;
    }
  }
  return offsets;
}

/** The common shape of operands. @throws InternalError where they cannot be broadcast. */
export function commonShape(...shapes: readonly (readonly number[])[]): readonly number[] {
  const shape = staticShape(broadcastShapes(...shapes));
  if (shape === undefined)
    throw new InternalError(`shapes ${shapes.map((s) => `[${s}]`).join(" ")} do not broadcast`);
  return shape;
}

/** Copies an operand out to a larger shape. */
export function broadcastTo(x: NDArray, shape: readonly number[]): NDArray {
  const offsets = broadcastOffsets(x.shape, shape);
  return new NDArray(x.dtype, shape, takeElements(x.data, offsets, x.dtype));
}

/** The elements at the given flat offsets, in order. */
export function takeElements(data: Elements, offsets: ArrayLike<number>, dtype: DType): Elements {
  const out = allocate(dtype, offsets.length);
  for (let i = 0; i < offsets.length; i++) out[i] = data[offsets[i] ?? 0] ?? out[i] ?? 0;
  return out;
}

/** A function on two elements, in doubles and in 64-bit integers. */
export interface BinaryFunctions<R> {
  readonly numbers: (x: number, y: number) => R;
  readonly bigints?: (x: bigint, y: bigint) => R extends boolean ? boolean : bigint;
}

/** Arithmetic on two broadcast arrays of one type. */
export function mapPair(x: NDArray, y: NDArray, fns: BinaryFunctions<number>, { exact }: Exactness): NDArray {
  const shape = commonShape(x.shape, y.shape);
  const [left, right] = [broadcastTo(x, shape).data, broadcastTo(y, shape).data];
  if (left instanceof Float64Array && right instanceof Float64Array) {
    return fromNumbers(
      x.dtype,
      shape,
      left.map((value, i) => fns.numbers(value, right[i] ?? 0)),
      exact,
    );
  }
  const bigints = fns.bigints;
  if (bigints === undefined) throw new InternalError(`no rule for ${x.dtype} and ${y.dtype}`);
  if (left instanceof BigInt64Array && right instanceof BigInt64Array) {
    return new NDArray(
      x.dtype,
      shape,
      left.map((value, i) => bigints(value, right[i] ?? 0n)),
    );
  }
  if (left instanceof BigUint64Array && right instanceof BigUint64Array) {
    return new NDArray(
      x.dtype,
      shape,
      left.map((value, i) => bigints(value, right[i] ?? 0n)),
    );
  }
  throw new InternalError(`operands of types ${x.dtype} and ${y.dtype}`);
}

/** Comparison of two broadcast arrays of one type, to bool. Works on text, too. */
export function comparePair(
  x: NDArray,
  y: NDArray,
  compare: (x: number | bigint | string, y: number | bigint | string) => boolean,
): NDArray {
  const shape = commonShape(x.shape, y.shape);
  const [left, right] = [broadcastTo(x, shape).data, broadcastTo(y, shape).data];
  const result = new Float64Array(left.length);
  for (let i = 0; i < result.length; i++) result[i] = compare(left[i] ?? 0, right[i] ?? 0) ? 1 : 0;
  return new NDArray("bool", shape, result);
}
