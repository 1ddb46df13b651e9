/** Evaluation of pools over sliding windows. */
import { countElements } from "../../ir/shape.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { takeAt } from "./rearrange.ts";
import { type KnownAxis, windowTaps } from "./window.ts";

/** Largest element of each window, and where in the whole operand it lies; the first of several. */
export function maxPool(
  x: NDArray,
  axes: readonly KnownAxis[],
): { readonly values: NDArray; readonly at: Int32Array } {
  const sizes = x.shape.slice(2);
  const counts = axes.map(({ output }) => output);
  const [inner, windows] = [countElements(sizes), countElements(counts)];
  const kernel = axes.reduce((product, axis) => product * axis.kernel, 1);
  const taps = windowTaps(sizes, counts, axes);
  const planes = countElements(x.shape.slice(0, 2));
  const at = new Int32Array(planes * windows);
  const data = x.toNumbers();
  for (let plane = 0; plane < planes; plane++) {
    for (let o = 0; o < windows; o++) {
      let best = -1;
      for (let k = 0; k < kernel; k++) {
        const tap = taps[o * kernel + k] ?? -1;
        if (tap < 0) continue;
        const place = plane * inner + tap;
        if (best < 0 || (data[place] ?? 0) > (data[best] ?? 0)) best = place;
      }
      at[plane * windows + o] = best;
    }
  }
  return { values: takeAt(x, [...x.shape.slice(0, 2), ...counts], at), at };
}

/** Mean of each window. */
export function averagePool(
  x: NDArray,
  axes: readonly KnownAxis[],
  countPadding: boolean,
  exact: boolean,
): NDArray {
  const divisors = windowDivisors(x.shape.slice(2), axes, countPadding);
  const sums = windowSums(x, axes);
  const means = sums.numbers.map((sum, i) => sum / (divisors[i % divisors.length] ?? 1));
  return fromNumbers(x.dtype, sums.shape, means, exact);
}

/** Sum of each window, in double precision. */
export function windowSums(x: NDArray, axes: readonly KnownAxis[]): NDArray {
  const sizes = x.shape.slice(2);
  const counts = axes.map(({ output }) => output);
  const [inner, windows] = [countElements(sizes), countElements(counts)];
  const kernel = axes.reduce((product, axis) => product * axis.kernel, 1);
  const taps = windowTaps(sizes, counts, axes);
  const planes = countElements(x.shape.slice(0, 2));
  const sums = new Float64Array(planes * windows);
  for (let plane = 0; plane < planes; plane++) {
    for (let o = 0; o < windows; o++) {
      let sum = 0;
      for (let k = 0; k < kernel; k++) {
        const tap = taps[o * kernel + k] ?? -1;
        if (tap >= 0) sum += x.numbers[plane * inner + tap] ?? 0;
      }
      sums[plane * windows + o] = sum;
    }
  }
  return fromNumbers(x.dtype, [...x.shape.slice(0, 2), ...counts], sums, true);
}

/** How many elements each window counts: those inside the operand, or inside its padding too. */
export function windowDivisors(
  sizes: readonly number[],
  axes: readonly KnownAxis[],
  countPadding: boolean,
): number[] {
  const counts = axes.map(({ output }) => output);
  const kernel = axes.reduce((product, axis) => product * axis.kernel, 1);
  const whole = countPadding
    ? sizes.map((size, axis) => size + (axes[axis]?.before ?? 0) + (axes[axis]?.after ?? 0))
    : sizes;
  const taps = windowTaps(whole, counts, countPadding ? axes.map((axis) => ({ ...axis, before: 0 })) : axes);
  return Array.from({ length: countElements(counts) }, (_, o) => {
    let inside = 0;
    for (let k = 0; k < kernel; k++) if ((taps[o * kernel + k] ?? -1) >= 0) inside += 1;
    return inside;
  });
}

/** Flat places with the spatial axes in column-major order (MaxPool, storage_order 1). */
export function columnMajor(at: ArrayLike<number>, sizes: readonly number[]): number[] {
  const inner = countElements(sizes);
  return Array.from(at, (place) => {
    let rest = place % inner;
    let result = 0;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      const size = sizes[axis] ?? 1;
      result += (rest % size) * countElements(sizes.slice(0, axis));
      rest = Math.floor(rest / size);
    }
    return place - (place % inner) + result;
  });
}
