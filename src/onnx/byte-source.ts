/** Random access to the bytes of a model, in a file of any size or in memory. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { onnxErrors } from "../diagnostics/onnx.ts";

/** Bytes that are read where they are needed. */
export interface ByteSource {
  readonly name: string;
  readonly size: number;
  /** The bytes of a range that lies inside; valid until the next call. */
  read(offset: number, length: number): Uint8Array;
  close(): void;
}

/** Bytes in memory. */
export function memorySource(bytes: Uint8Array, name: string): ByteSource {
  return {
    name,
    size: bytes.length,
    read: (offset, length) => bytes.subarray(offset, offset + length),
    close: () => {},
  };
}

const windowSize = 1 << 18;

/** A file, read through a window. @throws DiagnosticError `E_ONNX_NOT_A_FILE`, `E_ONNX_NOT_FOUND`. */
export function fileSource(file: string): ByteSource {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch {
    throw onnxErrors.E_ONNX_NOT_FOUND(file);
  }
  const status = fstatSync(descriptor);
  if (!status.isFile()) {
    closeSync(descriptor);
    throw onnxErrors.E_ONNX_NOT_A_FILE(file);
  }
  let window: Uint8Array = new Uint8Array(0);
  let windowStart = 0;
  return {
    name: file,
    size: status.size,
    read(offset, length) {
      if (offset < windowStart || offset + length > windowStart + window.length) {
        windowStart = offset;
        window = readFully(
          descriptor,
          file,
          offset,
          Math.min(Math.max(length, windowSize), status.size - offset),
        );
      }
      return window.subarray(offset - windowStart, offset - windowStart + length);
    },
    close: () => closeSync(descriptor),
  };
}

function readFully(descriptor: number, file: string, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const count = readSync(descriptor, bytes, done, length - done, offset + done);
    if (count === 0) throw onnxErrors.E_ONNX_TRUNCATED(file, offset + done, length - done);
    done += count;
  }
  return bytes;
}
