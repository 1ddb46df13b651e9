/** Rewrites encoded models without decoding them: finds the tensors and lets the caller replace fields of theirs. */
import { onnxErrors } from "../diagnostics/onnx.ts";
import type { ByteSource } from "./byte-source.ts";

type MessageKind = "model" | "graph" | "node" | "attribute" | "tensor" | "sparse" | "function";

/**
 * Fields that hold messages with tensors somewhere below, by their number (onnx.proto). `ModelProto.training_info` is
 * left out: nothing reads it, and it is carried as it is.
 */
const children: Readonly<Record<MessageKind, Readonly<Record<number, MessageKind>>>> = {
  model: { 7: "graph", 25: "function" },
  graph: { 1: "node", 5: "tensor", 15: "sparse" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse" },
  tensor: {},
  sparse: { 1: "tensor", 2: "tensor" },
  function: { 7: "node", 11: "attribute" },
};

/** Deepest nesting of messages that is followed: protobuf's own limit. */
const nestingLimit = 100;

/** Protobuf's types of fields on the wire. */
export const wireTypes = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

/** A field of a tensor, where it lies in the source. */
interface TensorField {
  readonly number: number;
  readonly wireType: number;
  /** First byte of the tag. */
  readonly at: number;
  /** First byte of the content, and the one after it. */
  readonly start: number;
  readonly end: number;
}

/** Something that stands for bytes in a rewritten model. */
export interface Piece {
  readonly byteLength: number;
}

/** The bytes of a rewritten model in order, some of them standing elsewhere. */
export interface Pieces<P extends Piece> {
  readonly pieces: readonly (Uint8Array | P)[];
  readonly byteLength: number;
}

export interface Rewriting<P extends Piece> {
  /** Messages shorter than this are kept without being looked into. */
  readonly shortest: number;
  /** What stands in the place of a field of a tensor; undefined keeps it. */
  readonly replace: (field: TensorField) => readonly (Uint8Array | P)[] | undefined;
  /** Most bytes that the result may have. */
  readonly limit: number;
  /** The error for a result that is longer. */
  readonly tooLong: (size: number) => Error;
}

/**
 * Walks a model's wire format. Every length is checked against what is left before it is followed, and nothing is
 * allocated by a number that the file claims.
 *
 * @throws DiagnosticError `E_ONNX_TRUNCATED`, `E_ONNX_MALFORMED`, `E_ONNX_NESTING`.
 */
export function rewriteModel<P extends Piece>(source: ByteSource, rewriting: Rewriting<P>): Pieces<P> {
  return new Rewriter(source, rewriting).run();
}

class Rewriter<P extends Piece> {
  readonly #source: ByteSource;
  readonly #rewriting: Rewriting<P>;
  readonly #pieces: (Uint8Array | P)[] = [];
  #size = 0;

  constructor(source: ByteSource, rewriting: Rewriting<P>) {
    this.#source = source;
    this.#rewriting = rewriting;
  }

  run(): Pieces<P> {
    const { size } = this.#source;
    if (!this.#message("model", 0, size, 0)) this.#keep(0, size);
    return { pieces: this.#pieces, byteLength: this.#size };
  }

  /** Writes a message; false, and nothing written, where it stays as it is. */
  #message(kind: MessageKind, start: number, end: number, depth: number): boolean {
    if (depth > nestingLimit) throw onnxErrors.E_ONNX_NESTING(this.#source.name, nestingLimit);
    // Neighbouring fields that stay as they are become one piece.
    let keptFrom = start;
    for (let at = start; at < end; ) {
      const field = this.#field(at, end);
      at = field.end;
      if (kind === "tensor") {
        const replacement = this.#rewriting.replace(field);
        if (replacement === undefined) continue;
        this.#keep(keptFrom, field.at);
        for (const piece of replacement) this.#push(piece);
      } else {
        const child = children[kind][field.number];
        const followed =
          field.wireType === wireTypes.bytes && field.end - field.start >= this.#rewriting.shortest;
        if (child === undefined || !followed || !this.#nested(child, field, keptFrom, depth + 1)) continue;
      }
      keptFrom = field.end;
    }
    if (keptFrom === start) return false;
    this.#keep(keptFrom, end);
    return true;
  }

  /** Writes a nested message and what was kept before it, under its new length; false where it stays as it is. */
  #nested(kind: MessageKind, field: TensorField, keptFrom: number, depth: number): boolean {
    const slot = this.#pieces.length;
    const before = this.#size;
    const empty = new Uint8Array(0);
    this.#pieces.push(empty, empty);
    if (!this.#message(kind, field.start, field.end, depth)) {
      this.#pieces.length = slot;
      return false;
    }
    const head = encodeTag(field.number, wireTypes.bytes, this.#size - before);
    this.#grow(field.at - keptFrom + head.length);
    this.#pieces[slot] = this.#source.copy(keptFrom, field.at - keptFrom);
    this.#pieces[slot + 1] = head;
    return true;
  }

  #keep(from: number, to: number): void {
    if (to === from) return;
    this.#grow(to - from);
    this.#pieces.push(this.#source.copy(from, to - from));
  }

  #push(piece: Uint8Array | P): void {
    this.#grow(piece.byteLength);
    this.#pieces.push(piece);
  }

  #grow(length: number): void {
    this.#size += length;
    if (this.#size > this.#rewriting.limit) throw this.#rewriting.tooLong(this.#size);
  }

  #field(at: number, end: number): TensorField {
    const { name } = this.#source;
    const tag = readVarint(this.#source, at, end);
    const number = Math.floor(tag.value / 8);
    const wireType = tag.value % 8;
    if (number === 0 || number >= 2 ** 29) {
      throw onnxErrors.E_ONNX_MALFORMED(name, `field number ${number} at byte ${at}`);
    }
    const field = { number, wireType, at, start: tag.next };
    switch (wireType) {
      case wireTypes.varint:
        return { ...field, end: readVarint(this.#source, tag.next, end).next };
      case wireTypes.bytes: {
        const length = readVarint(this.#source, tag.next, end);
        return { ...field, start: length.next, end: this.#checked(at, length.next + length.value, end) };
      }
      case wireTypes.fixed32:
        return { ...field, end: this.#checked(at, tag.next + 4, end) };
      case wireTypes.fixed64:
        return { ...field, end: this.#checked(at, tag.next + 8, end) };
      default:
        throw onnxErrors.E_ONNX_MALFORMED(name, `wire type ${wireType} at byte ${at}`);
    }
  }

  #checked(at: number, fieldEnd: number, end: number): number {
    if (fieldEnd > end) throw onnxErrors.E_ONNX_TRUNCATED(this.#source.name, at, fieldEnd - end);
    return fieldEnd;
  }
}

/** A varint of at most 10 bytes; values beyond 2^53 lose low digits, and are too long for any file anyway. */
export function readVarint(
  source: ByteSource,
  at: number,
  end: number,
): { readonly value: number; readonly next: number } {
  const bytes = source.view(at, Math.min(10, end - at));
  let value = 0;
  let scale = 1;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    value += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) return { value, next: at + i + 1 };
  }
  if (bytes.length < 10) throw onnxErrors.E_ONNX_TRUNCATED(source.name, at, 1);
  throw onnxErrors.E_ONNX_MALFORMED(source.name, `a varint of more than 10 bytes at byte ${at}`);
}

/** The tag of a field, with the varint that follows it: a length, or the value itself. */
export function encodeTag(number: number, wireType: number, value: number): Uint8Array {
  return Uint8Array.from([...varint(number * 8 + wireType), ...varint(value)]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? low + 128 : low);
  } while (rest > 0);
  return bytes;
}

/** One array of all bytes. */
export function joinBytes(chunks: Iterable<Uint8Array>, byteLength: number): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
