/** Random access to the bytes of a model, in a file of any size or in memory. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { onnxErrors } from "../diagnostics/onnx.ts";
import { systemReason } from "../formats/system-error.ts";

/** Bytes that are read where they are needed; ranges that are asked for must lie inside. */
export interface ByteSource {
  readonly name: string;
  readonly size: number;
  /** The bytes of a short range, valid until the next call. */
  view(offset: number, length: number): Uint8Array;
  /** The bytes of a range, which stay as they are. */
  copy(offset: number, length: number): Uint8Array;
  close(): void;
}

/** Bytes in memory; the caller must not change them afterwards. */
export function memorySource(given: Uint8Array, name: string): ByteSource {
  // A Buffer's slices are views, where those of a Uint8Array are copies: nothing of ours should be one.
  const bytes = new Uint8Array(given.buffer, given.byteOffset, given.length);
  const slice = (offset: number, length: number): Uint8Array => bytes.subarray(offset, offset + length);
  return { name, size: bytes.length, view: slice, copy: slice, close: () => {} };
}

/** Small, so that few bytes of the weights are read beside what lies between them. */
const windowSize = 1 << 16;

/**
 * A file, whose short ranges are read through a window.
 *
 * @throws DiagnosticError `E_ONNX_NOT_FOUND`, `E_ONNX_NOT_A_FILE`; `E_ONNX_TRUNCATED` later, when the file has shrunk.
 */
export function fileSource(file: string): ByteSource {
  const descriptor = openFile(file);
  const status = fstatSync(descriptor);
  if (!status.isFile()) {
    closeSync(descriptor);
    throw onnxErrors.E_ONNX_NOT_A_FILE(file);
  }
  const { size } = status;
  let window: Uint8Array = new Uint8Array(0);
  let windowStart = 0;
  const copy = (offset: number, length: number): Uint8Array => readFully(descriptor, file, offset, length);
  return {
    name: file,
    size,
    view(offset, length) {
      if (offset < windowStart || offset + length > windowStart + window.length) {
        windowStart = offset;
        window = copy(offset, Math.min(Math.max(length, windowSize), size - offset));
      }
      return window.subarray(offset - windowStart, offset - windowStart + length);
    },
    copy,
    close: () => closeSync(descriptor),
  };
}

function openFile(file: string): number {
  try {
    // Without O_NONBLOCK, which Windows lacks, opening a pipe would wait for its writer.
    return openSync(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (error) {
    const reason = systemReason(error);
    if (reason === undefined) throw error;
    throw onnxErrors.E_ONNX_NOT_FOUND(file, reason);
  }
}

/** Most bytes asked of one read call; the system refuses more than 2 GiB. */
const chunkLimit = 1 << 30;

function readFully(descriptor: number, file: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const count = readSync(descriptor, bytes, done, Math.min(length - done, chunkLimit), offset + done);
    if (count === 0) throw onnxErrors.E_ONNX_TRUNCATED(file, offset + done, length - done);
    done += count;
  }
  return bytes;
}
