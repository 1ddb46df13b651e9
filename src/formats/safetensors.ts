/**
 * The safetensors format on bytes in memory, for any JavaScript engine: every claim of the header is checked before
 * it is used. Format: https://huggingface.co/docs/safetensors (8 bytes of length, JSON header, tensors without gaps).
 */
import { InternalError, nearNames } from "../diagnostics/define.ts";
import { formatErrors } from "../diagnostics/formats.ts";
import { bytesPerElement, type ElementType } from "./element-type.ts";
import {
  compareLayout,
  formatHeader,
  type HeaderEntry,
  parseHeader,
  type SafetensorsDType,
  safetensorsDTypes,
} from "./safetensors-header.ts";

/** A tensor of a file: its first byte and the byte after its last, counted from the beginning of the file. */
export interface SafetensorsEntry {
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** A header whose claims hold for a file of the size that it was checked against. */
export interface SafetensorsHeader {
  /** In the order of the header. */
  readonly entries: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: ReadonlyMap<string, string>;
}

type ReadBytes = (offset: number, length: number) => Uint8Array;

/** Reads tensors by name; where their bytes come from is up to `read`. */
export class SafetensorsReader {
  /** Name of the file for messages. */
  readonly place: string;
  readonly metadata: ReadonlyMap<string, string>;
  readonly #header: SafetensorsHeader;
  readonly #read: ReadBytes;

  /** @param read Gives bytes of the file from an absolute offset. */
  constructor(place: string, header: SafetensorsHeader, read: ReadBytes) {
    this.place = place;
    this.metadata = header.metadata;
    this.#header = header;
    this.#read = read;
  }

  /** Names of the tensors, in the order of the header. */
  get names(): readonly string[] {
    return [...this.#header.entries.keys()];
  }

  has(name: string): boolean {
    return this.#header.entries.has(name);
  }

  /** @throws DiagnosticError `E_SAFETENSORS_MISSING`. */
  entry(name: string): SafetensorsEntry {
    const entry = this.#header.entries.get(name);
    if (entry !== undefined) return entry;
    throw formatErrors.E_SAFETENSORS_MISSING(this.place, name, nearNames(name, this.#header.entries.keys()));
  }

  /** Bytes of a tensor, little-endian and row-major; read at each call. */
  bytes(name: string): Uint8Array {
    const { begin, end } = this.entry(name);
    return this.#read(begin, end - begin);
  }
}

/**
 * Checks a file in memory and gives access to its tensors, whose bytes are views of it.
 *
 * @throws DiagnosticError `E_SAFETENSORS_HEADER`, `E_SAFETENSORS_TENSOR` or `E_SAFETENSORS_DTYPE`.
 */
export function decodeSafetensors(file: Uint8Array, place = "safetensors data"): SafetensorsReader {
  const read = (offset: number, length: number): Uint8Array => file.subarray(offset, offset + length);
  return new SafetensorsReader(place, readHeader(file.byteLength, read, place), read);
}

/** Bytes of the header's length. */
const lengthSize = 8;
/** Longest header that the reference library accepts. */
const headerLimit = 100_000_000;

/** Reads and checks the header of a file of `size` bytes; nothing is read before it is known to lie in the file. */
export function readHeader(size: number, read: ReadBytes, place: string): SafetensorsHeader {
  if (size < lengthSize) {
    throw formatErrors.E_SAFETENSORS_HEADER(place, `at least ${lengthSize} bytes`, `${size} bytes`);
  }
  const start = read(0, lengthSize);
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  const room = Math.min(size - lengthSize, headerLimit);
  if (length > BigInt(room)) {
    throw formatErrors.E_SAFETENSORS_HEADER(place, `a header of at most ${room} bytes`, `${length} bytes`);
  }
  const dataOffset = lengthSize + Number(length);
  const { entries, metadata } = parseHeader(decodeText(read(lengthSize, Number(length)), place), place);
  checkLayout(entries, size - dataOffset, place);
  const checked = entries.map((entry) => [entry.name, checkEntry(entry, dataOffset, place)] as const);
  return { entries: new Map(checked), metadata };
}

function decodeText(bytes: Uint8Array, place: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw formatErrors.E_SAFETENSORS_HEADER(place, "a header in UTF-8", "bytes that are not UTF-8");
  }
}

/** The format has neither gaps nor overlaps: sorted by place, each tensor begins where the one before it ends. */
function checkLayout(entries: readonly HeaderEntry[], dataLength: number, place: string): void {
  let reached = 0;
  for (const { name, begin, end } of entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== reached || end < begin || end > dataLength) {
      const expected = `bytes from ${reached} on, up to ${dataLength} at most`;
      throw formatErrors.E_SAFETENSORS_TENSOR(place, name, expected, `bytes ${begin} to ${end}`);
    }
    reached = end;
  }
  if (reached !== dataLength) {
    throw formatErrors.E_SAFETENSORS_HEADER(
      place,
      `${reached} bytes after the header`,
      `${dataLength} bytes`,
    );
  }
}

function checkEntry(entry: HeaderEntry, dataOffset: number, place: string): SafetensorsEntry {
  const { name, dtype, shape, begin, end } = entry;
  const known = safetensorsDTypes.find((candidate) => candidate === dtype);
  if (known === undefined) throw formatErrors.E_SAFETENSORS_DTYPE(place, name, dtype, safetensorsDTypes);
  // A product beyond 2^53 is inexact, but then it is also beyond the length of any file.
  const length = byteLength(known, shape);
  if (length !== end - begin) {
    const expected = `${length} bytes for ${dtype}[${shape.join(",")}]`;
    throw formatErrors.E_SAFETENSORS_TENSOR(place, name, expected, `${end - begin} bytes`);
  }
  return { dtype: known, shape, begin: dataOffset + begin, end: dataOffset + end };
}

function byteLength(dtype: SafetensorsDType, shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, bytesPerElement(elementTypes[dtype]));
}

/** A tensor to be written. */
export interface SafetensorsTensor {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** Little-endian, row-major bytes, or a function that makes them when they are written. */
  readonly data: Uint8Array | (() => Uint8Array);
}

/** Encodes a whole file in memory, byte for byte as the reference library does; metadata stays in the order given. */
export function encodeSafetensors(
  tensors: readonly SafetensorsTensor[],
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array<ArrayBuffer> {
  const { size, chunks } = layOut(tensors, metadata);
  const file = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks()) {
    file.set(chunk, at);
    at += chunk.byteLength;
  }
  return file;
}

/** A file to be written: its size in bytes and its content in order, each tensor made when its turn comes. */
export interface SafetensorsLayout {
  readonly size: number;
  readonly chunks: () => Generator<Uint8Array>;
}

/** Places tensors as the reference library does. @throws InternalError for names that are taken. */
export function layOut(
  tensors: readonly SafetensorsTensor[],
  metadata: ReadonlyMap<string, string>,
): SafetensorsLayout {
  const taken = new Set(["__metadata__"]);
  let reached = 0;
  const placed = tensors.toSorted(compareLayout).map((tensor) => {
    const { name, dtype, shape } = tensor;
    if (taken.has(name)) throw new InternalError(`tensor name "${name}" is taken`);
    taken.add(name);
    const begin = reached;
    reached += byteLength(dtype, shape);
    return { name, dtype, shape, data: tensor.data, begin, end: reached };
  });
  const header = formatHeader(placed, metadata);
  if (header.byteLength > headerLimit)
    throw new InternalError(`a header of ${header.byteLength} bytes is too long`);
  const start = new Uint8Array(lengthSize);
  new DataView(start.buffer).setBigUint64(0, BigInt(header.byteLength), true);
  function* chunks(): Generator<Uint8Array> {
    yield start;
    yield header;
    for (const { name, data, begin, end } of placed) {
      const bytes = typeof data === "function" ? data() : data;
      if (bytes.byteLength !== end - begin) {
        throw new InternalError(`tensor "${name}" has ${bytes.byteLength} bytes, not ${end - begin}`);
      }
      yield bytes;
    }
  }
  return { size: lengthSize + header.byteLength + reached, chunks };
}

const elementTypes: Readonly<Record<SafetensorsDType, ElementType>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  I64: "int64",
  I32: "int32",
  I16: "int16",
  I8: "int8",
  U8: "uint8",
  U16: "uint16",
  U32: "uint32",
  U64: "uint64",
  BOOL: "bool",
  F8_E4M3: "float8e4m3fn",
  F8_E5M2: "float8e5m2",
};

/** The element type that a safetensors dtype stands for. */
export function elementTypeOf(dtype: SafetensorsDType): ElementType {
  return elementTypes[dtype];
}

/** The safetensors dtype of an element type of the IR; undefined for types that the format has not. */
export function safetensorsDTypeOf(type: string): SafetensorsDType | undefined {
  return safetensorsDTypes.find((dtype) => elementTypes[dtype] === type);
}
