/** Reads the structure of a model file and leaves the bytes of its weights where they are. */
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { ByteSource } from "./byte-source.ts";

/** Where the data of a tensor lies in the source. */
export interface DataRange {
  readonly offset: number;
  readonly length: number;
}

/** The model without its weights: each tensor whose data was left out has a `range_index` into `ranges`. */
export interface Skimmed {
  readonly skeleton: Uint8Array;
  readonly ranges: readonly DataRange[];
}

/** Data below this size stays in the skeleton: shapes, axes and scalars are read at once. */
const inlineLimit = 1024;

/** Deepest nesting of messages that is followed; protobuf's own limit is 100. */
const nestingLimit = 96;

type MessageKind = "model" | "graph" | "node" | "attribute" | "tensor" | "sparse" | "function" | "training";

/** Fields that hold messages with tensors somewhere below, by their number (onnx.proto). */
const children: Readonly<Record<MessageKind, Readonly<Record<number, MessageKind>>>> = {
  model: { 7: "graph", 20: "training", 25: "function" },
  graph: { 1: "node", 5: "tensor", 15: "sparse" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse" },
  tensor: {},
  sparse: { 1: "tensor", 2: "tensor" },
  function: { 7: "node", 11: "attribute" },
  training: { 1: "graph", 2: "graph" },
};

/** Fields of a tensor whose packed bytes are its elements in little-endian order: raw_data, float_data, double_data. */
const dataFields: ReadonlySet<number> = new Set([4, 9, 10]);

const rangeIndexField = 536870911;

/**
 * Walks the wire format. Every length is checked against what is left before it is followed, and nothing is allocated
 * by a number that the file claims.
 *
 * @throws DiagnosticError `E_ONNX_TRUNCATED`, `E_ONNX_MALFORMED`, `E_ONNX_NESTING`.
 */
export function skimModel(source: ByteSource): Skimmed {
  const ranges: DataRange[] = [];
  const skeleton = concat(new Skimmer(source, ranges).message("model", 0, source.size, 0));
  return { skeleton, ranges };
}

class Skimmer {
  readonly #source: ByteSource;
  readonly #ranges: DataRange[];

  constructor(source: ByteSource, ranges: DataRange[]) {
    this.#source = source;
    this.#ranges = ranges;
  }

  /** The chunks of a message between two offsets. */
  message(kind: MessageKind, start: number, end: number, depth: number): Uint8Array[] {
    if (depth > nestingLimit) throw onnxErrors.E_ONNX_NESTING(this.#source.name, start, nestingLimit);
    const chunks: Uint8Array[] = [];
    // Neighbouring fields that are kept as they are become one chunk.
    let keptFrom = start;
    const keepUpTo = (offset: number): void => {
      if (offset > keptFrom) chunks.push(this.#source.read(keptFrom, offset - keptFrom).slice());
    };
    for (let at = start; at < end; ) {
      const tag = this.#varint(at, end);
      const field = Math.floor(tag.value / 8);
      const wire = tag.value % 8;
      if (field === 0) throw onnxErrors.E_ONNX_MALFORMED(this.#source.name, `field number 0 at byte ${at}`);
      if (kind === "tensor" && field === rangeIndexField) {
        throw onnxErrors.E_ONNX_MALFORMED(this.#source.name, `reserved field ${field} at byte ${at}`);
      }
      if (wire !== 2) {
        at = this.#skipScalar(wire, tag.next, end);
        continue;
      }
      const length = this.#varint(tag.next, end);
      const bodyEnd = length.next + length.value;
      if (bodyEnd > end) throw onnxErrors.E_ONNX_TRUNCATED(this.#source.name, at, bodyEnd - end);
      const child = children[kind][field];
      if (kind === "tensor" && dataFields.has(field) && length.value >= inlineLimit) {
        keepUpTo(at);
        keptFrom = bodyEnd;
        chunks.push(encodeVarint(rangeIndexField * 8), encodeVarint(this.#ranges.length));
        this.#ranges.push({ offset: length.next, length: length.value });
      } else if (child !== undefined && length.value >= inlineLimit) {
        keepUpTo(at);
        keptFrom = bodyEnd;
        const body = this.message(child, length.next, bodyEnd, depth + 1);
        const size = body.reduce((sum, chunk) => sum + chunk.length, 0);
        chunks.push(encodeVarint(tag.value), encodeVarint(size), ...body);
      }
      at = bodyEnd;
    }
    keepUpTo(end);
    return chunks;
  }

  #skipScalar(wire: number, at: number, end: number): number {
    const next = wire === 0 ? this.#varint(at, end).next : wire === 1 ? at + 8 : wire === 5 ? at + 4 : -1;
    if (next < 0) throw onnxErrors.E_ONNX_MALFORMED(this.#source.name, `wire type ${wire} at byte ${at}`);
    if (next > end) throw onnxErrors.E_ONNX_TRUNCATED(this.#source.name, at, next - end);
    return next;
  }

  /** A varint of at most 10 bytes; values beyond 2^53 lose low digits, and are too long for any file anyway. */
  #varint(at: number, end: number): { readonly value: number; readonly next: number } {
    const bytes = this.#source.read(at, Math.min(10, end - at));
    let value = 0;
    let scale = 1;
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i] ?? 0;
      value += (byte & 0x7f) * scale;
      scale *= 128;
      if (byte < 0x80) return { value, next: at + i + 1 };
    }
    if (bytes.length < 10) throw onnxErrors.E_ONNX_TRUNCATED(this.#source.name, at, 1);
    throw onnxErrors.E_ONNX_MALFORMED(this.#source.name, `a varint of more than 10 bytes at byte ${at}`);
  }
}

function encodeVarint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low + 128 : low);
  } while (rest > 0);
  return Uint8Array.from(bytes);
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
