/** Flat offsets that index tensors point at, shared by the evaluation of Gather and Scatter operators. */
import { countElements } from "../../ir/shape.ts";
import { type NDArray, stridesOf } from "../ndarray.ts";
import { boxOffsets, countUp } from "./rearrange.ts";

/**
 * Where each element of an index tensor points in `x`: its own coordinates, but for `axis` its value
 * (GatherElements).
 */
export function elementOffsets(x: NDArray, indices: NDArray, axis: number): Int32Array<ArrayBuffer> {
  const strides = stridesOf(x.shape);
  const [size, stride] = [x.shape[axis] ?? 1, strides[axis] ?? 1];
  const others = indices.shape.map((dim, at) =>
    countUp(dim).map((i) => (at === axis ? 0 : i * (strides[at] ?? 1))),
  );
  const offsets = boxOffsets(others);
  const values = indices.toNumbers();
  return offsets.map((base, i) => base + fromFront(values[i] ?? 0, size) * stride);
}

/**
 * Where each row of coordinates points in `x`: the offset of its first element (GatherND).
 *
 * @param batchDims leading axes that indices and `x` share.
 */
export function rowOffsets(x: NDArray, indices: NDArray, batchDims: number): Int32Array<ArrayBuffer> {
  const strides = stridesOf(x.shape);
  const width = indices.shape.at(-1) ?? 0;
  const rows = countElements(indices.shape.slice(0, -1));
  const batches = countElements(indices.shape.slice(0, batchDims));
  const batchStride = batchDims === 0 ? 0 : (strides[batchDims - 1] ?? 1);
  const values = indices.toNumbers();
  return Int32Array.from({ length: rows }, (_, row) => {
    let offset = Math.floor((row * batches) / rows) * batchStride;
    for (let j = 0; j < width; j++) {
      const axis = batchDims + j;
      offset += fromFront(values[row * width + j] ?? 0, x.shape[axis] ?? 1) * (strides[axis] ?? 1);
    }
    return offset;
  });
}

/** Offsets of every element of boxes that begin at the given offsets. */
export function boxesAt(starts: Int32Array<ArrayBuffer>, size: number): Int32Array<ArrayBuffer> {
  return boxOffsets([starts, countUp(size)]);
}

/** An index that may count from the end. */
export function fromFront(index: number, size: number): number {
  return index < 0 ? index + size : index;
}
