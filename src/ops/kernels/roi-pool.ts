/** Evaluation and gradient of MaxRoiPool. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf } from "../facts.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { pickedMaximumGradient } from "./picked-maximum.ts";

const f = Math.fround;

/** Maximum of each bin of the regions `rois [R, 5]` (sample, x1, y1, x2, y2) of `x [N, C, H, W]`; 0 where it is empty. */
export function maxRoiPool(x: NDArray, rois: NDArray, pooled: readonly number[], scale: number): NDArray {
  const [, channels = 0, height = 0, width = 0] = x.shape;
  const [regions = 0] = rois.shape;
  const [rows = 1, columns = 1] = pooled;
  const values: number[] = [];
  for (let r = 0; r < regions; r++) {
    const [sample = 0, left = 0, top = 0, right = 0, bottom = 0] = rois.numbers.subarray(5 * r, 5 * r + 5);
    for (let c = 0; c < channels; c++) {
      const plane = (sample * channels + c) * height * width;
      for (let i = 0; i < rows; i++) {
        const [from, to] = binOf(top, bottom, i, rows, height, scale);
        for (let j = 0; j < columns; j++) {
          const [begin, end] = binOf(left, right, j, columns, width, scale);
          let largest = from >= to || begin >= end ? 0 : Number.NEGATIVE_INFINITY;
          for (let row = from; row < to; row++) {
            for (let column = begin; column < end; column++)
              largest = Math.max(largest, x.numbers[plane + row * width + column] ?? 0);
          }
          values.push(largest);
        }
      }
    }
  }
  return fromNumbers(x.dtype, [regions, channels, rows, columns], values, true);
}

/** The elements of one bin, the end not among them; in float32, as the runtime rounds. */
function binOf(
  start: number,
  end: number,
  index: number,
  bins: number,
  size: number,
  scale: number,
): readonly [number, number] {
  const [first, last] = [roundAway(f(start * scale)), roundAway(f(end * scale))];
  const step = f(Math.max(last - first + 1, 1) / bins);
  const clamp = (place: number): number => Math.max(0, Math.min(place + first, size));
  return [clamp(Math.floor(f(index * step))), clamp(Math.ceil(f((index + 1) * step)))];
}

function roundAway(x: number): number {
  return Math.sign(x) * Math.floor(f(Math.abs(x) + 0.5));
}

/** The gradient of `x`, which goes to the first largest element of every bin. */
export function maxRoiPoolGradient(
  b: OpBuilder,
  x: Value,
  rois: Value,
  g: Value,
  pooled: readonly number[],
  scale: number,
): Value {
  const [rows = 1, columns = 1] = pooled;
  const [down, right] = [binElements(b, x, rois, 2, rows, scale), binElements(b, x, rois, 3, columns, scale)];
  // [R, rows, 1, K, 1] and [R, 1, columns, 1, K]
  const [rowAxes, columnAxes] = [
    [2, 4],
    [1, 3],
  ];
  const flat = (value: Value): Value => b.reshape(value, [0, rows * columns, -1]);
  const place = b.mul(b.unsqueeze(down.at, rowAxes), b.dim(x, 3));
  const counts = flat(b.and(b.unsqueeze(down.counts, rowAxes), b.unsqueeze(right.counts, columnAxes)));
  const sample = b.squeeze(b.slice(rois, { starts: [0], ends: [1], axes: [1] }), [1]);
  return pickedMaximumGradient(b, x, g, b.cast(sample, "int64"), {
    at: flat(b.add(place, b.unsqueeze(right.at, columnAxes))),
    weight: b.fillLike(counts, 1, dtypeOf(x)),
    counts,
  });
}

/** Indices of the elements of each bin along one axis, `[R, bins, K]`, and which of them are there. */
function binElements(
  b: OpBuilder,
  x: Value,
  rois: Value,
  axis: 2 | 3,
  bins: number,
  scale: number,
): { readonly at: Value; readonly counts: Value } {
  const corner = (at: number): Value => {
    const scaled = b.mul(b.slice(rois, { starts: [at], ends: [at + 1], axes: [1] }), scale);
    return b.mul(b.sign(scaled), b.op("Floor", [b.add(b.abs(scaled), 0.5)]));
  };
  const [first, last] = [corner(4 - axis), corner(6 - axis)];
  const step = b.div(b.max(b.add(b.sub(last, first), 1), 1), bins);
  const index = b.castLike(b.op("Range", [b.int(0), b.int(bins), b.int(1)]), rois);
  const size = b.dim(x, axis);
  const bound = (place: Value): Value => {
    const moved = b.cast(b.add(place, first), "int64");
    return b.max(b.min(moved, size), 0);
  };
  const start = bound(b.op("Floor", [b.mul(index, step)]));
  const end = bound(b.op("Ceil", [b.mul(b.add(index, 1), step)]));
  const longest = b.max(b.reduceMax(b.sub(end, start), undefined, false), 1);
  const offset = b.op("Range", [b.int(0), longest, b.int(1)]);
  const at = b.add(b.unsqueeze(start, [2]), offset);
  return { at: b.min(at, b.sub(size, 1)), counts: b.less(at, b.unsqueeze(end, [2])) };
}
