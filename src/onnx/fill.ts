/** Puts the bytes of weights into an encoded skeleton: the inverse of `skim.ts`. */
import { InternalError } from "../diagnostics/define.ts";
import { readRange, type Tensor } from "../ir/tensor.ts";
import { memorySource } from "./byte-source.ts";
import { weightIndexField } from "./schema.ts";
import { dataFields } from "./skim.ts";
import { encodeTag, type Pieces, readVarint, rewriteModel, wireTypes } from "./wire-rewrite.ts";

/** Most bytes of a weight that are in memory at a time, and least that are written at a time. */
const largeChunk = 1 << 26;
const smallChunk = 1 << 20;

/**
 * The model with each `weight_index` replaced by the data of that tensor, none of which is read yet.
 *
 * @param limit most bytes that the model may have; `tooLong` makes the error where it has more.
 */
export function fillSkeleton(
  skeleton: Uint8Array,
  tensors: readonly Tensor[],
  limit: number,
  tooLong: (size: number) => Error,
): Pieces<Tensor> {
  const source = memorySource(skeleton, "the model in memory");
  return rewriteModel<Tensor>(source, {
    shortest: 0,
    replace({ number, start, end }) {
      if (number !== weightIndexField) return undefined;
      const index = readVarint(source, start, end).value;
      const tensor = tensors[index];
      if (tensor === undefined) throw new InternalError(`there is no tensor ${index} to fill in`);
      return [encodeTag(dataFields.raw, wireTypes.bytes, tensor.byteLength), tensor];
    },
    limit,
    tooLong,
  });
}

/** The bytes of pieces in order, gathered into chunks of a size that is quick to write. */
export function* chunksOf(pieces: Iterable<Uint8Array | Tensor>): Generator<Uint8Array, void, undefined> {
  let buffer = new Uint8Array(smallChunk);
  let filled = 0;
  for (const bytes of bytesOf(pieces)) {
    if (filled + bytes.length > smallChunk) {
      yield buffer.subarray(0, filled);
      buffer = new Uint8Array(smallChunk);
      filled = 0;
    }
    if (bytes.length > smallChunk) yield bytes;
    else {
      buffer.set(bytes, filled);
      filled += bytes.length;
    }
  }
  yield buffer.subarray(0, filled);
}

/** The bytes of pieces in order; those of a weight are read only when it is its turn. */
export function* bytesOf(pieces: Iterable<Uint8Array | Tensor>): Generator<Uint8Array, void, undefined> {
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) yield piece;
    else yield* tensorChunks(piece);
  }
}

function* tensorChunks(tensor: Tensor): Generator<Uint8Array, void, undefined> {
  const { source } = tensor;
  let written = 0;
  if (source.kind === "file") {
    const { file, offset, length } = source.range;
    for (; written < length; written += largeChunk) {
      yield readRange({ file, offset: offset + written, length: Math.min(largeChunk, length - written) });
    }
    written = length;
  } else {
    const bytes = tensor.bytes();
    written = bytes.length;
    yield bytes;
  }
  // A length that differs from the one announced would garble everything after it.
  if (written !== tensor.byteLength) {
    throw new InternalError(`tensor "${tensor.name}" gave ${written} bytes, not ${tensor.byteLength}`);
  }
}
