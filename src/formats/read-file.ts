/** Reads files and byte ranges of files, with a diagnostic when the system refuses. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { formatErrors } from "../diagnostics/formats.ts";
import { systemReason } from "./system-error.ts";

/** Reads a file whole. @throws DiagnosticError `E_FILE_READ`. */
export function readBytes(path: string): Uint8Array {
  const { buffer, byteOffset, byteLength } = withDiagnostic(path, () => readFileSync(path));
  // Not a Buffer, whose slice() does not copy as that of other typed arrays does.
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** A file opened for reading: reads ranges of it and knows its size. */
export interface OpenFile {
  readonly size: number;
  /** Size, time of the last change and inode, as text: differs when the file was written again. */
  readonly version: string;
  /** Bytes from `offset`. @throws DiagnosticError `E_FILE_CHANGED` when the file ends before `length` bytes. */
  readonly read: (offset: number, length: number) => Uint8Array<ArrayBuffer>;
}

/** Opens a file for the time of `use`. @throws DiagnosticError `E_FILE_READ`. */
export function withFile<T>(path: string, use: (file: OpenFile) => T): T {
  const descriptor = withDiagnostic(path, () => openSync(path, "r"));
  try {
    const { size, mtime, ino } = withDiagnostic(path, () => fstatSync(descriptor, { bigint: true }));
    const version = `${size} bytes of ${mtime.toISOString()} (inode ${ino})`;
    return use({
      size: Number(size),
      version,
      read: (offset, length) => readRange(path, descriptor, offset, length),
    });
  } finally {
    closeSync(descriptor);
  }
}

/** Most bytes asked of one read call; the system refuses more than 2 GiB. */
const chunkLimit = 1 << 30;

function readRange(
  path: string,
  descriptor: number,
  offset: number,
  length: number,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const wanted = Math.min(length - done, chunkLimit);
    const count = withDiagnostic(path, () => readSync(descriptor, bytes, done, wanted, offset + done));
    if (count === 0) {
      throw formatErrors.E_FILE_CHANGED(path, `at least ${offset + length} bytes`, `${offset + done} bytes`);
    }
    done += count;
  }
  return bytes;
}

function withDiagnostic<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    const reason = systemReason(error);
    if (reason === undefined) throw error;
    throw formatErrors.E_FILE_READ(path, reason);
  }
}
