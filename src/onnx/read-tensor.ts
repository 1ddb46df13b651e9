/** Turns tensor messages into tensors whose data stays where it is until asked for. */
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { SparseTensor } from "../ir/attribute.ts";
import { byteLength, type DType, dtypeFromCode } from "../ir/dtype.ts";
import { countElements, mostAxes } from "../ir/shape.ts";
import { readRange, Tensor, type TensorSource } from "../ir/tensor.ts";
import type { ByteSource } from "./byte-source.ts";
import { type ExternalOptions, resolveExternal } from "./external-data.ts";
import { toInt } from "./integers.ts";
import type { EntryMessage, SparseTensorMessage, TensorMessage } from "./messages.ts";
import { type DataRange, dataFields } from "./skim.ts";
import { entryCount, packFloats, packIntegers, packVarints, typedField } from "./typed-data.ts";

/** Where the data of tensors may come from. */
export interface TensorContext extends ExternalOptions {
  readonly source: ByteSource;
  readonly ranges: readonly DataRange[];
  /** Indices into `ranges` that a tensor has taken; none may be taken twice. */
  readonly taken: Set<number>;
  /** Absolute path of the model file; undefined for models in memory. */
  readonly file: string | undefined;
  /** Absolute folder of external data; undefined where there can be none. */
  readonly folder: string | undefined;
}

const externalLocation = 1;

/** @throws DiagnosticError `E_TENSOR_*` and `E_EXTERNAL_*` for claims that do not hold. */
export function readTensor(message: TensorMessage, context: TensorContext): Tensor {
  const name = message.name ?? "";
  const dtype = dtypeFromCode(message.data_type ?? 0);
  if (dtype === undefined) throw onnxErrors.E_TENSOR_TYPE(`tensor "${name}"`, message.data_type ?? 0);
  if (message.segment !== undefined) throw onnxErrors.E_TENSOR_DATA(name, "a segment of a larger tensor");
  const dims = readDims(message.dims ?? [], name);
  const extra = { name, docString: message.doc_string ?? "" };
  return new Tensor(dtype, dims, sourceOf(message, dtype, dims, context), extra);
}

export function readSparseTensor(message: SparseTensorMessage, context: TensorContext): SparseTensor {
  const values = readTensor(message.values ?? {}, context);
  const indices = readTensor(message.indices ?? {}, context);
  const dims = readDims(message.dims ?? [], values.name);
  const wanted = [[values.size], [values.size, dims.length]].map(String);
  if (indices.dtype !== "int64" || values.dims.length !== 1 || !wanted.includes(String(indices.dims)))
    throw onnxErrors.E_TENSOR_SPARSE(
      values.name,
      `${indices.dtype}[${indices.dims}] for [${values.dims}] values`,
    );
  return { values, indices, dims };
}

function readDims(claimed: NonNullable<TensorMessage["dims"]>, tensor: string): number[] {
  const dims = claimed.slice(0, mostAxes + 1).map((dim) => Number(toInt(dim)));
  const size = countElements(dims);
  const valid = dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0);
  // 16 bytes is the largest element.
  if (!valid || dims.length > mostAxes || !Number.isSafeInteger(size * 16)) {
    throw onnxErrors.E_TENSOR_DIMS(tensor, `[${dims.join(", ")}]`);
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
  const count = countElements(dims);
  if (dtype === "string") return stringSource(message, name, count);
  const size = byteLength(dtype, count);
  if (message.data_location === externalLocation) {
    return externalSource(message.external_data ?? [], name, size, context);
  }
  const { field, range } = theDataField(message, dtype, context);
  if (range !== undefined) return rangeSource(range, dtype, count, name, context);
  if (field === undefined || field === dataFields.raw) {
    const bytes = message.raw_data ?? new Uint8Array(0);
    requireSize(name, size, bytes.length, "bytes");
    return { kind: "inline", bytes };
  }
  return { kind: "inline", bytes: packTyped(message, field, dtype, count) };
}

function stringSource(message: TensorMessage, name: string, count: number): TensorSource {
  const values = message.string_data ?? [];
  requireSize(name, count, values.length, "strings");
  return { kind: "strings", values };
}

/**
 * The only field that holds data, and where it lies if it was left out of the skeleton.
 *
 * @throws DiagnosticError `E_TENSOR_DATA` where there are several, or one that is not for the type.
 */
function theDataField(
  message: TensorMessage,
  dtype: DType,
  context: TensorContext,
): { readonly field: number | undefined; readonly range: DataRange | undefined } {
  const name = message.name ?? "";
  const ranges = (message.weight_index ?? []).map((index) => {
    const range = context.ranges[index];
    if (range === undefined || context.taken.has(index)) {
      throw onnxErrors.E_TENSOR_DATA(name, "a field of a reserved number");
    }
    context.taken.add(index);
    return range;
  });
  const inSkeleton = [
    (message.float_data?.length ?? 0) > 0 ? [dataFields.float] : [],
    (message.int32_data?.length ?? 0) > 0 ? [dataFields.int32] : [],
    (message.int64_data?.length ?? 0) > 0 ? [dataFields.int64] : [],
    (message.double_data?.length ?? 0) > 0 ? [dataFields.double] : [],
    (message.uint64_data?.length ?? 0) > 0 ? [dataFields.uint64] : [],
    (message.raw_data?.length ?? 0) > 0 ? [dataFields.raw] : [],
  ].flat();
  const fields: readonly number[] = [...ranges.map(({ field }) => field), ...inSkeleton];
  if (fields.length > 1) throw onnxErrors.E_TENSOR_DATA(name, "data in several fields");
  const field = fields[0];
  if (field !== undefined && field !== dataFields.raw && field !== typedField(dtype)) {
    throw onnxErrors.E_TENSOR_DATA(name, `data of another type than ${dtype}`);
  }
  return { field, range: ranges[0] };
}

/** Data that was left out of the skeleton: a byte range, or bytes made from one when they are read. */
function rangeSource(
  { field, offset, length }: DataRange,
  dtype: DType,
  count: number,
  name: string,
  { file, source }: TensorContext,
): TensorSource {
  const size = byteLength(dtype, count);
  if (field === dataFields.raw || field === dataFields.float || field === dataFields.double) {
    requireSize(name, size, length, "bytes");
    if (file !== undefined) return { kind: "file", range: { file, offset, length } };
    return { kind: "inline", bytes: source.copy(offset, length) };
  }
  // An entry takes 1 to 10 bytes, so that the result is at most 8 times as large as what is in the file.
  const entries = entryCount(dtype, count);
  if (length < entries || length > entries * 10) {
    throw onnxErrors.E_TENSOR_SIZE(name, `${entries} entries`, `${length} bytes of varints`);
  }
  const read =
    file === undefined ? () => source.copy(offset, length) : () => readRange({ file, offset, length });
  return { kind: "lazy", compute: () => packVarints(dtype, count, read(), name) };
}

function packTyped(message: TensorMessage, field: number, dtype: DType, count: number): Uint8Array {
  const entries = <T>(values: readonly T[] | undefined): readonly T[] => {
    requireSize(message.name ?? "", entryCount(dtype, count), values?.length ?? 0, "entries");
    return values ?? [];
  };
  switch (field) {
    case dataFields.float:
      return packFloats(dtype, entries(message.float_data));
    case dataFields.double:
      return packFloats(dtype, entries(message.double_data));
    case dataFields.int64:
      return packIntegers(dtype, count, entries(message.int64_data));
    case dataFields.uint64:
      return packIntegers(dtype, count, entries(message.uint64_data));
    default:
      return packIntegers(dtype, count, entries(message.int32_data));
  }
}

function requireSize(tensor: string, expected: number, got: number, unit: string): void {
  if (expected !== got) throw onnxErrors.E_TENSOR_SIZE(tensor, `${expected} ${unit}`, `${got}`);
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
