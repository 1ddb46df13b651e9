/** The discrete Fourier transform of arrays, term by term. */
import { addDims, type Dim, dimsEqual, floorDivDims } from "../../ir/dim.ts";
import { fromNumbers, type NDArray, stridesOf } from "../ndarray.ts";
import { countUp } from "./rearrange.ts";

/** Which transform: over `length` elements of an axis, with bins that a real signal repeats left out where `onesided`. */
export interface TransformOptions {
  readonly axis: number;
  readonly length: number;
  readonly inverse: boolean;
  readonly onesided: boolean;
}

/** Elements along the axis of a transform's result. */
export function binCount({ length, inverse, onesided }: Omit<TransformOptions, "axis">): number {
  return onesided && !inverse ? Math.floor(length / 2) + 1 : length;
}

/** Whether a one-sided inverse gets as many bins as the signal of that length has. */
export function hasItsBins(bins: Dim, length: Dim | undefined): boolean {
  return length !== undefined && dimsEqual(bins, addDims(floorDivDims(length, 2), 1));
}

/**
 * Transforms an array whose last axis has the real and the imaginary part, or the real one alone. Elements that the
 * axis lacks are zeros. An inverse of one-sided bins is real: the first half of them is read, and mirrored.
 */
export function transform(x: NDArray, options: TransformOptions, exact: boolean): NDArray {
  const { axis, length, inverse, onesided } = options;
  const real = inverse && onesided;
  const [given, bins] = [x.shape[axis] ?? 0, binCount(options)];
  const shape = x.shape.with(axis, bins).with(-1, real ? 1 : 2);
  const values = new Float64Array(shape.reduce((product, size) => product * size, 1));
  const [from, to] = [stridesOf(x.shape), stridesOf(shape)];
  const parts = x.shape.at(-1) ?? 1;
  const outer = countUp(x.rank - 1).filter((at) => at !== axis);
  const lines = outer.reduce((product, at) => product * (x.shape[at] ?? 1), 1);
  const angles = countUp(length).map((at) => (2 * Math.PI * at) / length);
  const [cosines, sines] = [angles.map(Math.cos), angles.map((a) => (inverse ? Math.sin(a) : -Math.sin(a)))];
  const used = Math.min(given, real ? Math.floor(length / 2) + 1 : length);
  const scale = inverse ? 1 / length : 1;
  for (let line = 0; line < lines; line++) {
    const [start, end] = startsOf(line, outer, x.shape, from, to);
    for (let bin = 0; bin < bins; bin++) {
      let [re, im] = [0, 0];
      for (let at = 0; at < used; at++) {
        const place = start + at * (from[axis] ?? 1);
        const [a, b] = [x.numbers[place] ?? 0, parts === 2 ? (x.numbers[place + 1] ?? 0) : 0];
        const turn = (bin * at) % length;
        const [c, s] = [cosines[turn] ?? 1, sines[turn] ?? 0];
        const weight = real ? mirrorWeight(at, length) : 1;
        re += weight * (a * c - b * s);
        im += weight * (a * s + b * c);
      }
      const place = end + bin * (to[axis] ?? 1);
      values[place] = re * scale;
      if (!real) values[place + 1] = im * scale;
    }
  }
  return fromNumbers(x.dtype, shape, values, exact);
}

/** How often a bin counts in a real inverse: twice, but for those that are their own mirrors. */
function mirrorWeight(bin: number, length: number): number {
  return bin === 0 || 2 * bin === length ? 1 : 2;
}

/** Where a line along the axis starts in the operand and in the result. */
function startsOf(
  line: number,
  outer: readonly number[],
  shape: readonly number[],
  from: readonly number[],
  to: readonly number[],
): readonly [number, number] {
  let [rest, start, end] = [line, 0, 0];
  for (const axis of outer) {
    const size = shape[axis] ?? 1;
    const index = rest % size;
    rest = Math.floor(rest / size);
    start += index * (from[axis] ?? 1);
    end += index * (to[axis] ?? 1);
  }
  return [start, end];
}
