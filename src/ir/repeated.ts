/** Tensors that repeat themselves along an axis. */

import { inlineTensor } from "./constant.ts";
import { byteLength } from "./dtype.ts";
import { countElements } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

/** More bytes than this are taken not to repeat. */
const mostBytes = 2 ** 26;

/** The tensor at the first index of an axis alone, where it is the same at every index; undefined where it is not. */
export function takeOnce(tensor: Tensor, axis: number): Tensor | undefined {
  const size = tensor.dims[axis];
  if (size === undefined || size === 0 || tensor.source.kind === "strings" || tensor.byteLength > mostBytes)
    return undefined;
  const inner = byteLength(tensor.dtype, countElements(tensor.dims.slice(axis + 1)));
  const bytes = tensor.bytes();
  const outer = countElements(tensor.dims.slice(0, axis));
  // Numbers of less than a byte may begin within one.
  if (inner * size * outer !== bytes.length) return undefined;
  const kept = new Uint8Array(inner * outer);
  for (let block = 0; block < outer; block++) {
    const first = bytes.subarray(block * size * inner, (block * size + 1) * inner);
    for (let index = 1; index < size; index++) {
      const start = (block * size + index) * inner;
      if (!sameBytes(first, bytes.subarray(start, start + inner))) return undefined;
    }
    kept.set(first, block * inner);
  }
  return inlineTensor(tensor.dtype, tensor.dims.with(axis, 1), kept, tensor.name);
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.every((byte, at) => byte === right[at]);
}
