/** Element types that array files hold, and typed arrays over their little-endian bytes. */
import { InternalError } from "../diagnostics/define.ts";

/** The arrays that elements are held in: 16-bit and 8-bit floats as their bits, bool as bytes 0 and 1. */
export interface ElementArrays {
  float64: Float64Array;
  float32: Float32Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  float8e4m3fn: Uint8Array;
  float8e5m2: Uint8Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int16: Int16Array;
  int8: Int8Array;
  uint64: BigUint64Array;
  uint32: Uint32Array;
  uint16: Uint16Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

/** An element type, named as the IR and NumPy name it. */
export type ElementType = keyof ElementArrays;

export type ElementArray = ElementArrays[ElementType];

interface ArrayConstructor<T> {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): T;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): T;
}

const constructors: { readonly [T in ElementType]: ArrayConstructor<ElementArrays[T]> } = {
  float64: Float64Array,
  float32: Float32Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float8e4m3fn: Uint8Array,
  float8e5m2: Uint8Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint64: BigUint64Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/** Bytes of one element. */
export function bytesPerElement(type: ElementType): number {
  return constructors[type].BYTES_PER_ELEMENT;
}

/** An array of `count` zeros. */
export function zeroElements<T extends ElementType>(type: T, count: number): ElementArrays[T] {
  return new constructors[type](count);
}

/**
 * The elements that little-endian bytes hold: a view of the same memory where its alignment allows one, else a copy.
 *
 * @throws InternalError when the bytes are not a whole number of elements.
 */
export function viewElements<T extends ElementType>(type: T, bytes: Uint8Array): ElementArrays[T] {
  const size = bytesPerElement(type);
  if (bytes.byteLength % size !== 0) {
    throw new InternalError(`${bytes.byteLength} bytes are not whole elements of ${type}`);
  }
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return new constructors[type](aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}
