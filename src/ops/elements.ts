/** Elements of each type as bytes and as JavaScript numbers, rounded as the type rounds. */
import { InternalError } from "../diagnostics/define.ts";
import {
  bfloat16BitsToFloat32,
  float16BitsToFloat32,
  float32ToBfloat16Bits,
  float32ToFloat16Bits,
} from "../formats/half.ts";
import type { DType } from "../ir/dtype.ts";
import type { Elements } from "./ndarray.ts";

type Reader = (view: DataView, index: number) => number;
type Writer = (view: DataView, index: number, value: number) => void;

const readers: Partial<Record<DType, Reader>> = {
  float32: (view, i) => view.getFloat32(i * 4, true),
  float64: (view, i) => view.getFloat64(i * 8, true),
  float16: (view, i) => float16BitsToFloat32(view.getUint16(i * 2, true)),
  bfloat16: (view, i) => bfloat16BitsToFloat32(view.getUint16(i * 2, true)),
  int8: (view, i) => view.getInt8(i),
  int16: (view, i) => view.getInt16(i * 2, true),
  int32: (view, i) => view.getInt32(i * 4, true),
  uint8: (view, i) => view.getUint8(i),
  uint16: (view, i) => view.getUint16(i * 2, true),
  uint32: (view, i) => view.getUint32(i * 4, true),
  bool: (view, i) => (view.getUint8(i) === 0 ? 0 : 1),
  uint4: (view, i) => nibble(view, i),
  int4: (view, i) => (nibble(view, i) << 28) >> 28,
};

const writers: Partial<Record<DType, Writer>> = {
  float32: (view, i, value) => view.setFloat32(i * 4, value, true),
  float64: (view, i, value) => view.setFloat64(i * 8, value, true),
  float16: (view, i, value) => view.setUint16(i * 2, float32ToFloat16Bits(value), true),
  bfloat16: (view, i, value) => view.setUint16(i * 2, float32ToBfloat16Bits(value), true),
  int8: (view, i, value) => view.setInt8(i, value),
  int16: (view, i, value) => view.setInt16(i * 2, value, true),
  int32: (view, i, value) => view.setInt32(i * 4, value, true),
  uint8: (view, i, value) => view.setUint8(i, value),
  uint16: (view, i, value) => view.setUint16(i * 2, value, true),
  uint32: (view, i, value) => view.setUint32(i * 4, value, true),
  bool: (view, i, value) => view.setUint8(i, value === 0 ? 0 : 1),
  uint4: setNibble,
  int4: setNibble,
};

const widths: Partial<Record<DType, number>> = { float64: 8, float32: 4, int32: 4, uint32: 4 };
const narrow: ReadonlySet<DType> = new Set(["int8", "uint8", "bool"]);

/** Elements of a type that the evaluator can hold. */
export function isComputable(dtype: DType): boolean {
  return dtype === "int64" || dtype === "uint64" || dtype in readers;
}

/** Reads `count` elements from little-endian bytes. @throws InternalError for types it cannot hold. */
export function decodeElements(dtype: DType, bytes: Uint8Array, count: number): Elements {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === "int64")
    return BigInt64Array.from({ length: count }, (_, i) => view.getBigInt64(i * 8, true));
  if (dtype === "uint64")
    return BigUint64Array.from({ length: count }, (_, i) => view.getBigUint64(i * 8, true));
  const read = readers[dtype];
  if (read === undefined) throw new InternalError(`the evaluator cannot hold ${dtype}`);
  const data = new Float64Array(count);
  for (let i = 0; i < count; i++) data[i] = read(view, i);
  return data;
}

/** Writes elements as little-endian bytes, rounding to the type. */
export function encodeElements(dtype: DType, data: Elements): Uint8Array {
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    return new Uint8Array(data.slice().buffer);
  const write = writers[dtype];
  if (write === undefined || !(data instanceof Float64Array)) {
    throw new InternalError(`the evaluator cannot store ${dtype}`);
  }
  const bits = dtype === "uint4" || dtype === "int4" ? 4 : narrow.has(dtype) ? 8 : (widths[dtype] ?? 2) * 8;
  const view = new DataView(new ArrayBuffer(Math.ceil((data.length * bits) / 8)));
  data.forEach((value, i) => write(view, i, value));
  return new Uint8Array(view.buffer);
}

/** The nearest value of the type: to even for floats, wrapped for integers. */
export function roundElement(dtype: DType, value: number): number {
  switch (dtype) {
    case "float32":
      return Math.fround(value);
    case "float16":
      return float16BitsToFloat32(float32ToFloat16Bits(value));
    case "bfloat16":
      return bfloat16BitsToFloat32(float32ToBfloat16Bits(value));
    case "bool":
      return value === 0 ? 0 : 1;
    case "int8":
      return (Math.trunc(value) << 24) >> 24;
    case "int16":
      return (Math.trunc(value) << 16) >> 16;
    case "int32":
      return Math.trunc(value) | 0;
    case "uint8":
      return Math.trunc(value) & 0xff;
    case "uint16":
      return Math.trunc(value) & 0xffff;
    case "uint32":
      return Math.trunc(value) >>> 0;
    default:
      return value;
  }
}

function nibble(view: DataView, index: number): number {
  const byte = view.getUint8(index >> 1);
  return index % 2 === 0 ? byte & 15 : byte >> 4;
}

function setNibble(view: DataView, index: number, value: number): void {
  const byte = view.getUint8(index >> 1);
  view.setUint8(
    index >> 1,
    index % 2 === 0 ? (byte & 0xf0) | (value & 15) : (byte & 15) | ((value & 15) << 4),
  );
}
