/** What a weight file is recognised by: its size and a hash of samples, or of everything. */
import { createHash } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { z } from "zod";
import type { sourceFileSchema } from "./manifest.ts";

export type FileIdentity = Omit<z.output<typeof sourceFileSchema>, "name">;

/** Bytes of each of the three samples: at the start, in the middle and at the end. */
const sampleSize = 64 * 1024;

/** Reads size, time and hash of a file; under `sampled`, no more than three samples of it. */
export function identify(file: string, { hash }: { readonly hash: FileIdentity["hash"] }): FileIdentity {
  const descriptor = openSync(file, "r");
  try {
    const { size, mtimeMs } = fstatSync(descriptor);
    const digest = createHash("sha256");
    for (const [offset, length] of hash === "full" ? chunks(size) : samples(size))
      digest.update(readAt(descriptor, offset, length));
    return { size, modified: Math.floor(mtimeMs), sha256: digest.digest("hex"), hash };
  } finally {
    closeSync(descriptor);
  }
}

function samples(size: number): [number, number][] {
  if (size <= 3 * sampleSize) return [[0, size]];
  const middle = Math.floor((size - sampleSize) / 2);
  return [0, middle, size - sampleSize].map((offset) => [offset, sampleSize]);
}

function* chunks(size: number): Generator<[number, number]> {
  const step = 1 << 22;
  for (let offset = 0; offset < size; offset += step) yield [offset, Math.min(step, size - offset)];
}

function readAt(descriptor: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length; ) {
    const count = readSync(descriptor, bytes, done, length - done, offset + done);
    if (count === 0) return bytes.subarray(0, done);
    done += count;
  }
  return bytes;
}
