/** Turns tensor messages into tensors whose data stays where it is until asked for. */
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { SparseTensor } from "../ir/attribute.ts";
import { byteLength, type DType, dtypeFromCode } from "../ir/dtype.ts";
import { Tensor, type TensorSource } from "../ir/tensor.ts";
import type { ByteSource } from "./byte-source.ts";
import { type ExternalOptions, resolveExternal } from "./external-data.ts";
import { toInt } from "./integers.ts";
import type { EntryMessage, SparseTensorMessage, TensorMessage } from "./messages.ts";
import type { DataRange } from "./skim.ts";

/** Where the data of tensors may come from. */
export interface TensorContext extends ExternalOptions {
  readonly source: ByteSource;
  readonly ranges: readonly DataRange[];
  /** Absolute path of the model file and of its folder; undefined for models in memory. */
  readonly file: string | undefined;
  readonly folder: string | undefined;
}

const externalLocation = 1;

/** @throws DiagnosticError `E_TENSOR_*` and `E_EXTERNAL_*` for claims that do not hold. */
export function readTensor(message: TensorMessage, context: TensorContext): Tensor {
  const name = message.name ?? "";
  const dtype = dtypeFromCode(message.data_type ?? 0);
  if (dtype === undefined) throw onnxErrors.E_TENSOR_TYPE(name, message.data_type ?? 0);
  const dims = readDims(message.dims ?? [], name);
  const extra = { name, docString: message.doc_string ?? "" };
  return new Tensor(dtype, dims, sourceOf(message, dtype, dims, context), extra);
}

export function readSparseTensor(message: SparseTensorMessage, context: TensorContext): SparseTensor {
  const values = readTensor(message.values ?? {}, context);
  const indices = readTensor(message.indices ?? {}, context);
  return { values, indices, dims: readDims(message.dims ?? [], values.name) };
}

function readDims(claimed: readonly unknown[], tensor: string): number[] {
  const dims = claimed.map((dim) => Number(dim));
  let size = 1;
  for (const dim of dims) size *= dim;
  if (
    dims.length > 64 ||
    dims.some((dim) => !Number.isSafeInteger(dim) || dim < 0) ||
    !Number.isSafeInteger(size * 16)
  ) {
    throw onnxErrors.E_TENSOR_DIMS(tensor, `[${dims.slice(0, 64).join(", ")}]`);
  }
  return dims;
}

function sourceOf(
  message: TensorMessage,
  dtype: DType,
  dims: readonly number[],
  context: TensorContext,
): TensorSource {
  const name = message.name ?? "";
  const count = dims.reduce((product, dim) => product * dim, 1);
  const size = byteLength(dtype, count);
  if (dtype === "string") {
    const values = message.string_data ?? [];
    if (values.length !== count) throw onnxErrors.E_TENSOR_SIZE(name, count, values.length);
    return { kind: "strings", values };
  }
  if (message.data_location === externalLocation)
    return externalSource(message.external_data ?? [], name, size, context);
  if (message.range_index !== undefined && Object.hasOwn(message, "range_index")) {
    const range = context.ranges[message.range_index];
    if (range === undefined || range.length !== size)
      throw onnxErrors.E_TENSOR_SIZE(name, size, range?.length ?? 0);
    if (context.file !== undefined) return { kind: "file", range: { file: context.file, ...range } };
    return { kind: "inline", bytes: context.source.read(range.offset, range.length) };
  }
  const bytes = inlineBytes(message, dtype);
  if (bytes.length !== size) throw onnxErrors.E_TENSOR_SIZE(name, size, bytes.length);
  return { kind: "inline", bytes };
}

function externalSource(
  entries: readonly EntryMessage[],
  tensor: string,
  size: number,
  context: TensorContext,
): TensorSource {
  const facts = new Map(entries.map(({ key = "", value = "" }) => [key, value]));
  const number = (key: string): number | undefined => {
    const text = facts.get(key);
    return text === undefined || text === "" ? undefined : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  };
  const claim = {
    tensor,
    location: facts.get("location") ?? "",
    offset: number("offset") ?? 0,
    length: number("length"),
  };
  return { kind: "file", range: resolveExternal(claim, context.folder, size, context) };
}

/** The typed fields of TensorProto as the bytes that raw_data would hold. */
function inlineBytes(message: TensorMessage, dtype: DType): Uint8Array {
  if (Object.hasOwn(message, "raw_data") && message.raw_data !== undefined) return message.raw_data;
  switch (dtype) {
    case "float32":
    case "complex64":
      return bytesOf(Float32Array.from(message.float_data ?? []));
    case "float64":
    case "complex128":
      return bytesOf(Float64Array.from(message.double_data ?? []));
    case "int64":
      return bytesOf(BigInt64Array.from(message.int64_data ?? [], (value) => BigInt(toInt(value))));
    case "uint64":
      return bytesOf(
        BigUint64Array.from(message.uint64_data ?? [], (value) => BigInt.asUintN(64, BigInt(toInt(value)))),
      );
    case "uint32":
      return bytesOf(Uint32Array.from(message.uint64_data ?? [], Number));
    case "int32":
      return bytesOf(Int32Array.from(message.int32_data ?? []));
    case "float16":
    case "bfloat16":
    case "uint16":
    case "int16":
      return bytesOf(Uint16Array.from(message.int32_data ?? []));
    default:
      // 8-bit types, and packed 4- and 2-bit ones, take one int32 a byte.
      return Uint8Array.from(message.int32_data ?? []);
  }
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
