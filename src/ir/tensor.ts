/** Constant tensors whose bytes are read only when asked for: inline, in a range of a file, or computed. */
import { closeSync, openSync, readSync } from "node:fs";
import { InternalError } from "../diagnostics/define.ts";
import { byteLength, type DType } from "./dtype.ts";
import { countElements } from "./shape.ts";

/** Where the bytes of a tensor lie on disk, little-endian and dense as in ONNX `raw_data`. */
export interface ByteRange {
  /** Absolute path. */
  readonly file: string;
  readonly offset: number;
  readonly length: number;
}

/** Where the elements of a tensor come from. */
export type TensorSource =
  | { readonly kind: "inline"; readonly bytes: Uint8Array }
  | { readonly kind: "file"; readonly range: ByteRange }
  | { readonly kind: "strings"; readonly values: readonly Uint8Array[] }
  /** Computed when read, such as a seeded initial value; `compute` must give the same bytes each time. */
  | {
      readonly kind: "lazy";
      readonly compute: () => Uint8Array;
      /** The bytes from `start` to `end` alone, where they can be had for less than all. */
      readonly part?: (start: number, end: number) => Uint8Array;
    };

/** An immutable dense tensor. Weights are shared by reference between graphs and their clones. */
export class Tensor {
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly source: TensorSource;
  /** Name that the source file gave the tensor, where it differs from its value's name. */
  readonly name: string;
  readonly docString: string;

  constructor(
    dtype: DType,
    dims: readonly number[],
    source: TensorSource,
    extra: { readonly name?: string; readonly docString?: string } = {},
  ) {
    this.dtype = dtype;
    this.dims = dims;
    this.source = source;
    this.name = extra.name ?? "";
    this.docString = extra.docString ?? "";
  }

  /** Number of elements; 1 for a scalar. */
  get size(): number {
    return countElements(this.dims);
  }

  /** Bytes that the elements take. */
  get byteLength(): number {
    return byteLength(this.dtype, this.size);
  }

  /**
   * The elements as little-endian bytes, read from the file at each call and never cached.
   *
   * @throws InternalError for string tensors, and when a file range does not have the length of the tensor.
   */
  bytes(): Uint8Array {
    switch (this.source.kind) {
      case "inline":
        return this.source.bytes;
      case "lazy":
        return this.source.compute();
      case "file":
        return readRange(this.source.range);
      case "strings":
        throw new InternalError(`tensor "${this.name}" holds strings, not numbers`);
    }
  }
}

/** Bytes `start` to `end` of a tensor, without computing or reading the others where that can be avoided. */
export function partOfBytes(tensor: Tensor, start: number, end: number): Uint8Array {
  const { source } = tensor;
  if (source.kind === "lazy" && source.part !== undefined) return source.part(start, end);
  if (source.kind !== "file") return tensor.bytes().subarray(start, end);
  return readRange({ ...source.range, offset: source.range.offset + start, length: end - start });
}

/** Reads a byte range whole. */
export function readRange({ file, offset, length }: ByteRange): Uint8Array {
  const bytes = new Uint8Array(length);
  const descriptor = openSync(file, "r");
  try {
    for (let done = 0; done < length; ) {
      const count = readSync(descriptor, bytes, done, Math.min(length - done, 1 << 30), offset + done);
      if (count === 0) throw new InternalError(`"${file}" shrank while it was read at byte ${offset + done}`);
      done += count;
    }
  } finally {
    closeSync(descriptor);
  }
  return bytes;
}
