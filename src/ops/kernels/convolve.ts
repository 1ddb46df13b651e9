/** Evaluation of convolutions in any number of dimensions, summed in double precision. */
import { countElements } from "../../ir/shape.ts";
import type { NDArray } from "../ndarray.ts";
import { type KnownAxis, windowTaps } from "./window.ts";

/** Sums and the shape that they fill. */
export interface Convolved {
  readonly shape: readonly number[];
  readonly sums: Float64Array<ArrayBuffer>;
}

/** Cross-correlation of `x [N, C, ...]` with `w [M, C/groups, ...]` (ONNX Conv), without a bias. */
export function convolve(x: NDArray, w: NDArray, axes: readonly KnownAxis[], groups: number): Convolved {
  const [batch = 0, channels = 0, ...sizes] = x.shape;
  const [outputs = 0, depth = 0] = w.shape;
  const counts = axes.map(({ output }) => output);
  const [inner, windows, kernel] = [
    countElements(sizes),
    countElements(counts),
    countElements(w.shape.slice(2)),
  ];
  const taps = windowTaps(sizes, counts, axes);
  const sums = new Float64Array(batch * outputs * windows);
  const [from, by] = [x.numbers, w.numbers];
  for (let n = 0; n < batch; n++) {
    for (let m = 0; m < outputs; m++) {
      const first = Math.floor((m * groups) / outputs) * depth;
      for (let o = 0; o < windows; o++) {
        let sum = 0;
        for (let c = 0; c < depth; c++) {
          const plane = (n * channels + first + c) * inner;
          const weights = (m * depth + c) * kernel;
          for (let k = 0; k < kernel; k++) {
            const tap = taps[o * kernel + k] ?? -1;
            if (tap >= 0) sum += (from[plane + tap] ?? 0) * (by[weights + k] ?? 0);
          }
        }
        sums[(n * outputs + m) * windows + o] = sum;
      }
    }
  }
  return { shape: [batch, outputs, ...counts], sums };
}

/**
 * The transpose of {@link convolve} in its first operand: `x [N, C, ...]`, `w [C, M/groups, ...]` (ONNX
 * ConvTranspose).
 */
export function convolveTransposed(
  x: NDArray,
  w: NDArray,
  axes: readonly KnownAxis[],
  groups: number,
): Convolved {
  const [batch = 0, channels = 0, ...counts] = x.shape;
  const depth = w.shape[1] ?? 0;
  const outputs = depth * groups;
  // Windows of the convolution that this transposes lie on the result.
  const sizes = axes.map(({ output }) => output);
  const [inner, windows, kernel] = [
    countElements(sizes),
    countElements(counts),
    countElements(w.shape.slice(2)),
  ];
  const taps = windowTaps(sizes, counts, axes);
  const sums = new Float64Array(batch * outputs * inner);
  const [from, by] = [x.numbers, w.numbers];
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      const first = Math.floor((c * groups) / channels) * depth;
      for (let m = 0; m < depth; m++) {
        const plane = (n * outputs + first + m) * inner;
        for (let o = 0; o < windows; o++) {
          const value = from[(n * channels + c) * windows + o] ?? 0;
          for (let k = 0; k < kernel; k++) {
            const tap = taps[o * kernel + k] ?? -1;
            if (tap < 0) continue;
            sums[plane + tap] = (sums[plane + tap] ?? 0) + value * (by[(c * depth + m) * kernel + k] ?? 0);
          }
        }
      }
    }
  }
  return { shape: [batch, outputs, ...sizes], sums };
}
