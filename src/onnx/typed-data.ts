/** The typed data fields of TensorProto as the bytes that `raw_data` would hold. */
import { InternalError } from "../diagnostics/define.ts";
import { onnxErrors } from "../diagnostics/onnx.ts";
import { bitsOf, byteLength, type DType } from "../ir/dtype.ts";
import type { Int64 } from "./integers.ts";
import { dataFields } from "./skim.ts";

/** The one field, beside raw_data, that may hold elements of a type (onnx.proto); undefined for strings. */
export function typedField(dtype: DType): number | undefined {
  switch (dtype) {
    case "string":
      return undefined;
    case "float32":
    case "complex64":
      return dataFields.float;
    case "float64":
    case "complex128":
      return dataFields.double;
    case "int64":
      return dataFields.int64;
    case "uint64":
    case "uint32":
      return dataFields.uint64;
    default:
      return dataFields.int32;
  }
}

/** How many entries of {@link typedField} `count` elements take. */
export function entryCount(dtype: DType, count: number): number {
  switch (dtype) {
    case "complex64":
    case "complex128":
      return 2 * count;
    case "float6e2m3":
    case "float6e3m2":
      return count;
    default:
      // The 4- and 2-bit types fill one entry's low byte.
      return bitsOf(dtype) < 8 ? byteLength(dtype, count) : count;
  }
}

/** Little-endian bytes of float_data or double_data. */
export function packFloats(dtype: DType, values: readonly number[]): Uint8Array {
  const array =
    typedField(dtype) === dataFields.float ? Float32Array.from(values) : Float64Array.from(values);
  return new Uint8Array(array.buffer);
}

/** Little-endian bytes of int32_data, int64_data or uint64_data, which must have as many entries as needed. */
export function packIntegers(dtype: DType, count: number, values: readonly Int64[]): Uint8Array {
  const packer = new Packer(dtype, count);
  for (const value of values) {
    packer.push(typeof value === "number" ? value : value.low);
    if (bitsOf(dtype) === 64)
      packer.push(typeof value === "number" ? Math.floor(value / 2 ** 32) : value.high);
  }
  return packer.bytes;
}

/**
 * The same from the packed varints of the field.
 *
 * @throws DiagnosticError `E_TENSOR_SIZE` where there are more or fewer than the elements need, `E_TENSOR_DATA` for
 *   varints that are cut off.
 */
export function packVarints(dtype: DType, count: number, varints: Uint8Array, tensor: string): Uint8Array {
  const entries = entryCount(dtype, count);
  const packer = new Packer(dtype, count);
  let found = 0;
  for (let at = 0; at < varints.length; found++) {
    if (found === entries) throw onnxErrors.E_TENSOR_SIZE(tensor, `${entries} entries`, "more");
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = varints[at++];
      if (byte === undefined || shift > 63) throw onnxErrors.E_TENSOR_DATA(tensor, "a broken varint");
      const bits = byte & 0x7f;
      if (shift < 32) low |= bits << shift;
      if (shift >= 32) high |= bits << (shift - 32);
      else if (shift > 25) high |= bits >> (32 - shift);
      if (byte < 0x80) break;
    }
    packer.push(low);
    if (bitsOf(dtype) === 64) packer.push(high);
  }
  if (found < entries) throw onnxErrors.E_TENSOR_SIZE(tensor, `${entries} entries`, `${found}`);
  return packer.bytes;
}

/** Writes entries of an integer field one after the other at the width of the element type. */
class Packer {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  /** Bits pushed at a time: an entry, or half of one of 64 bits. */
  readonly #width: number;
  #bit = 0;

  constructor(dtype: DType, count: number) {
    this.bytes = new Uint8Array(byteLength(dtype, count));
    this.#view = new DataView(this.bytes.buffer);
    const bits = bitsOf(dtype);
    this.#width = bits === 64 ? 32 : bits < 8 && bits !== 6 ? 8 : bits;
  }

  /** Appends the low bits of a number, which is taken modulo 2^32. */
  push(entry: number): void {
    const at = this.#bit >>> 3;
    switch (this.#width) {
      case 32:
        this.#view.setUint32(at, entry, true);
        break;
      case 16:
        this.#view.setUint16(at, entry, true);
        break;
      case 8:
        this.#view.setUint8(at, entry);
        break;
      case 6:
        this.#pushSixBits(at, entry);
        break;
      default:
        throw new InternalError(`entries of ${this.#width} bits`);
    }
    this.#bit += this.#width;
  }

  #pushSixBits(at: number, entry: number): void {
    const shifted = (entry & 0x3f) << (this.#bit & 7);
    this.bytes[at] = (this.bytes[at] ?? 0) | (shifted & 0xff);
    if (shifted > 0xff) this.bytes[at + 1] = (this.bytes[at + 1] ?? 0) | (shifted >> 8);
  }
}
