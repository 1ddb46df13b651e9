/** Element types that array files hold, and typed arrays over their little-endian bytes. */
import { InternalError } from "../diagnostics/define.ts";

/** An element type, named as the IR and NumPy name it. */
export type ElementType =
  | "float64"
  | "float32"
  | "float16"
  | "bfloat16"
  | "float8e4m3fn"
  | "float8e5m2"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint64"
  | "uint32"
  | "uint16"
  | "uint8"
  | "bool";

/** The arrays that elements are held in: 16-bit and 8-bit floats as their bits, bool as bytes 0 and 1. */
export type ElementArray =
  | Float64Array
  | Float32Array
  | BigInt64Array
  | BigUint64Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array;

interface ElementArrayConstructor {
  new (length: number): ElementArray;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): ElementArray;
}

const layouts: Readonly<Record<ElementType, readonly [bytes: number, array: ElementArrayConstructor]>> = {
  float64: [8, Float64Array],
  float32: [4, Float32Array],
  float16: [2, Uint16Array],
  bfloat16: [2, Uint16Array],
  float8e4m3fn: [1, Uint8Array],
  float8e5m2: [1, Uint8Array],
  int64: [8, BigInt64Array],
  int32: [4, Int32Array],
  int16: [2, Int16Array],
  int8: [1, Int8Array],
  uint64: [8, BigUint64Array],
  uint32: [4, Uint32Array],
  uint16: [2, Uint16Array],
  uint8: [1, Uint8Array],
  bool: [1, Uint8Array],
};

/** Bytes of one element. */
export function bytesPerElement(type: ElementType): number {
  return layouts[type][0];
}

/** An array of `count` zeros. */
export function zeroElements(type: ElementType, count: number): ElementArray {
  return new layouts[type][1](count);
}

/**
 * The elements that little-endian bytes hold: a view of the same memory where its alignment allows one, else a copy.
 *
 * @throws InternalError when the bytes are not a whole number of elements.
 */
export function viewElements(type: ElementType, bytes: Uint8Array): ElementArray {
  const [size, ElementsOf] = layouts[type];
  if (bytes.byteLength % size !== 0)
    throw new InternalError(`${bytes.byteLength} bytes are not whole ${type}s`);
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return new ElementsOf(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}
