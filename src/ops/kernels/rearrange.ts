/**
 * Evaluation of operators that only move elements: every result element is one operand element, or a filler.
 */
import { countElements } from "../../ir/shape.ts";
import { allocate, NDArray, stridesOf } from "../ndarray.ts";
import { takeElements } from "./elementwise.ts";

/** A position that no operand element goes to. */
export const nowhere = -1;

/** `0, 1, ... count - 1`. */
export function countUp(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/**
 * Flat positions of a box: the sum of one offset per axis, in row-major order. An axis that says {@link
 * nowhere} for an index makes every position under it nowhere.
 */
export function boxOffsets(axes: readonly ArrayLike<number>[]): Int32Array<ArrayBuffer> {
  let offsets = Int32Array.of(0);
  for (const axis of axes) {
    const next = new Int32Array(offsets.length * axis.length);
    let at = 0;
    for (const base of offsets) {
      for (let i = 0; i < axis.length; i++) {
        const step = axis[i] ?? nowhere;
        next[at++] = base < 0 || step < 0 ? nowhere : base + step;
      }
    }
    offsets = next;
  }
  return offsets;
}

/**
 * Result whose element `[i, j...]` is the operand's `[picks[0][i], picks[1][j]...]`; a pick of {@link
 * nowhere} gives the filler, or 0 (empty text) without one.
 */
export function pickAlongAxes(x: NDArray, picks: readonly ArrayLike<number>[], filler?: NDArray): NDArray {
  const strides = stridesOf(x.shape);
  const axes = picks.map((pick, axis) =>
    Array.from(pick, (index) => (index < 0 ? nowhere : index * (strides[axis] ?? 1))),
  );
  const shape = picks.map((pick) => pick.length);
  return takeAt(x, shape, boxOffsets(axes), filler);
}

/** Result of the given shape made of the operand's elements at flat positions. */
export function takeAt(
  x: NDArray,
  shape: readonly number[],
  offsets: ArrayLike<number>,
  filler?: NDArray,
): NDArray {
  const data = takeElements(x.data, offsets, x.dtype);
  const fill = filler?.data[0];
  if (fill !== undefined) {
    for (let i = 0; i < data.length; i++) if ((offsets[i] ?? nowhere) < 0) data[i] = fill;
  }
  return new NDArray(x.dtype, shape, data);
}

/** Axes in another order: axis `i` of the result is axis `perm[i]` of the operand. */
export function permuteAxes(x: NDArray, perm: readonly number[]): NDArray {
  const strides = stridesOf(x.shape);
  const shape = perm.map((axis) => x.shape[axis] ?? 1);
  const axes = perm.map((axis) => countUp(x.shape[axis] ?? 1).map((i) => i * (strides[axis] ?? 1)));
  return takeAt(x, shape, boxOffsets(axes));
}

/** Arrays that agree but along one axis, one after the other along it. */
export function concatenate(parts: readonly NDArray[], axis: number): NDArray {
  const [first] = parts;
  if (first === undefined) return new NDArray("float32", [0], new Float64Array(0));
  const outer = countElements(first.shape.slice(0, axis));
  const lengths = parts.map((part) => (outer === 0 ? 0 : part.size / outer));
  const total = parts.reduce((sum, part) => sum + (part.shape[axis] ?? 0), 0);
  const shape = first.shape.with(axis, total);
  const out = allocate(first.dtype, countElements(shape));
  let at = 0;
  for (let row = 0; row < outer; row++) {
    parts.forEach((part, index) => {
      const length = lengths[index] ?? 0;
      for (let i = 0; i < length; i++) out[at++] = part.data[row * length + i] ?? 0;
    });
  }
  return new NDArray(first.dtype, shape, out);
}
