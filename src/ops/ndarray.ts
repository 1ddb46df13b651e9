/** Dense arrays of the reference evaluator: what operators compute constants and checks with. */
import { InternalError } from "../diagnostics/define.ts";
import { inlineTensor } from "../ir/constant.ts";
import { type DType, isFloat } from "../ir/dtype.ts";
import { countElements } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import { decodeElements, encodeElements, roundElement } from "./elements.ts";

/**
 * Storage of elements: int64 and uint64 exactly as bigints, text as text, every other type (bool as 0 and 1) as
 * doubles, which hold its values exactly.
 */
export type Elements =
  | Float64Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>
  | string[];

/** A dense row-major array. */
export class NDArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: Elements;

  constructor(dtype: DType, shape: readonly number[], data: Elements) {
    const size = countElements(shape);
    if (data.length !== size)
      throw new InternalError(`array of shape [${shape}] over ${data.length} elements`);
    this.dtype = dtype;
    this.shape = shape;
    this.data = data;
  }

  get size(): number {
    return this.data.length;
  }

  get rank(): number {
    return this.shape.length;
  }

  /** Elements as doubles. @throws InternalError for 64-bit integers and text. */
  get numbers(): Float64Array<ArrayBuffer> {
    if (this.data instanceof Float64Array) return this.data;
    throw new InternalError(`${this.dtype} elements are not held as doubles`);
  }

  /** Elements as numbers, 64-bit integers converted: for axes, indices and shapes. */
  toNumbers(): number[] {
    return Array.from<number | bigint | string, number>(this.data, Number);
  }

  /** Same elements under another shape of equal size. */
  reshaped(shape: readonly number[]): NDArray {
    return new NDArray(this.dtype, shape, this.data);
  }
}

/** Empty storage for `size` elements of a type; text starts empty. */
export function allocate(dtype: DType, size: number): Elements {
  if (dtype === "int64") return new BigInt64Array(size);
  if (dtype === "uint64") return new BigUint64Array(size);
  return dtype === "string" ? new Array<string>(size).fill("") : new Float64Array(size);
}

/**
 * Builds an array of a type held as doubles.
 *
 * @param exact keeps float elements unrounded, whatever the type: the evaluator's float64 mode.
 */
export function fromNumbers(
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<number>,
  exact = false,
): NDArray {
  if (dtype === "int64")
    return new NDArray(
      dtype,
      shape,
      BigInt64Array.from(Array.from(values), (v) => BigInt(v)),
    );
  if (dtype === "uint64")
    return new NDArray(
      dtype,
      shape,
      BigUint64Array.from(Array.from(values), (v) => BigInt(v)),
    );
  const data = Float64Array.from(values);
  if (!(exact && isFloat(dtype)))
    for (let i = 0; i < data.length; i++) data[i] = roundElement(dtype, data[i] ?? 0);
  return new NDArray(dtype, shape, data);
}

/** Reads the elements of a constant. */
export function fromTensor(tensor: Tensor): NDArray {
  if (tensor.source.kind === "strings") {
    const decoder = new TextDecoder();
    return new NDArray(
      "string",
      tensor.dims,
      tensor.source.values.map((value) => decoder.decode(value)),
    );
  }
  return new NDArray(tensor.dtype, tensor.dims, decodeElements(tensor.dtype, tensor.bytes(), tensor.size));
}

/** Stores an array as a constant, rounding floats to their type. */
export function toTensor(array: NDArray, name = ""): Tensor {
  return inlineTensor(array.dtype, array.shape, encodeElements(array.dtype, array.data), name);
}

/** Row-major strides in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    strides[axis] = (strides[axis + 1] ?? 1) * (shape[axis + 1] ?? 1);
  }
  return strides;
}
