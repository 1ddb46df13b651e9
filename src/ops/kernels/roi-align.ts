/** Evaluation and gradient of RoiAlign. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf } from "../facts.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { once } from "./once.ts";
import { pickedMaximumGradient } from "./picked-maximum.ts";
import { stateShape } from "./shape-vector.ts";

/** Attributes of RoiAlign. */
export interface RoiAttributes {
  readonly coordinate_transformation_mode: string;
  readonly mode: string;
  readonly output_height: number;
  readonly output_width: number;
  readonly sampling_ratio: number;
  readonly spatial_scale: number;
}

/** A region along one axis: `[start, end]` in elements, cut into bins with samples in each. */
interface Span {
  readonly start: number;
  readonly bin: number;
  readonly samples: number;
}

interface Sample {
  readonly low: number;
  readonly high: number;
  readonly rest: number;
}

/** Mean or maximum of samples in each bin of the regions `rois [R, 4]` of `x [N, C, H, W]`. */
export function roiAlign(
  x: NDArray,
  rois: NDArray,
  images: NDArray,
  attrs: RoiAttributes,
  exact: boolean,
): NDArray {
  const [, channels = 0, height = 0, width = 0] = x.shape;
  const [regions = 0] = rois.shape;
  const [rows, columns] = [attrs.output_height, attrs.output_width];
  const batch = images.toNumbers();
  const values: number[] = [];
  for (let r = 0; r < regions; r++) {
    const corner = (at: number): number => rois.numbers[r * 4 + at] ?? 0;
    const down = spanOf(corner(1), corner(3), rows, attrs);
    const right = spanOf(corner(0), corner(2), columns, attrs);
    for (let c = 0; c < channels; c++) {
      const plane = ((batch[r] ?? 0) * channels + c) * height * width;
      const at = (row: number, column: number): number => x.numbers[plane + row * width + column] ?? 0;
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          const terms = samplesOf(down, i, height).flatMap((y) =>
            samplesOf(right, j, width).map((z) => fourTerms(y, z, at)),
          );
          values.push(attrs.mode === "max" ? largest(terms.flat()) : mean(terms));
        }
      }
    }
  }
  return fromNumbers(x.dtype, [regions, channels, rows, columns], values, exact);
}

function spanOf(from: number, to: number, bins: number, attrs: RoiAttributes): Span {
  const half = attrs.coordinate_transformation_mode === "half_pixel";
  const start = from * attrs.spatial_scale - (half ? 0.5 : 0);
  const whole = to * attrs.spatial_scale - (half ? 0.5 : 0) - start;
  const bin = (half ? whole : Math.max(whole, 1)) / bins;
  return {
    start,
    bin,
    samples: attrs.sampling_ratio > 0 ? attrs.sampling_ratio : Math.max(0, Math.ceil(bin)),
  };
}

/** Samples of one bin, undefined where they lie outside of the image. */
function samplesOf({ start, bin, samples }: Span, index: number, size: number): (Sample | undefined)[] {
  return Array.from({ length: samples }, (_, i) => {
    const place = start + index * bin + ((i + 0.5) * bin) / samples;
    if (place < -1 || place > size) return undefined;
    const inside = Math.max(0, Math.min(place, size - 1));
    const low = Math.floor(inside);
    return { low, high: Math.min(low + 1, size - 1), rest: inside - low };
  });
}

function fourTerms(
  y: Sample | undefined,
  x: Sample | undefined,
  at: (row: number, column: number) => number,
): number[] {
  if (y === undefined || x === undefined) return [0];
  return [
    (1 - y.rest) * (1 - x.rest) * at(y.low, x.low),
    (1 - y.rest) * x.rest * at(y.low, x.high),
    y.rest * (1 - x.rest) * at(y.high, x.low),
    y.rest * x.rest * at(y.high, x.high),
  ];
}

function largest(terms: readonly number[]): number {
  return terms.length === 0 ? 0 : Math.max(...terms);
}

function mean(terms: readonly (readonly number[])[]): number {
  return terms.flat().reduce((sum, term) => sum + term, 0) / Math.max(1, terms.length);
}

/** Samples along one axis at run time, `[R, bins, S]`. */
interface SampleValues {
  /** Where they lie, moved onto the axis. */
  readonly inside: Value;
  /** 1 for those that are taken and lie within the image or less than one element beside it. */
  readonly isNear: Value;
  /** bool: those that are taken, since a region may have fewer than the largest one. */
  readonly counts: Value;
  /** Number of samples of each region, at least 1. */
  readonly number: Value;
  /** Size of the axis, an int64 scalar. */
  readonly size: Value;
}

/**
 * The gradient of `x`. Means are sums of rows and columns with weights that each region has for itself, so that
 * the gradient is two products; maxima give theirs to the winners.
 */
export function roiAlignGradient(
  b: OpBuilder,
  {
    x,
    rois,
    images,
    g,
    attrs,
  }: {
    readonly x: Value;
    readonly rois: Value;
    readonly images: Value;
    readonly g: Value;
    readonly attrs: RoiAttributes;
  },
): Value {
  const down = sampleValues(b, x, rois, 2, attrs);
  const right = sampleValues(b, x, rois, 3, attrs);
  if (attrs.mode === "max") return maximumGradient(b, x, g, images, down, right, attrs);
  const [rows, columns] = [meanWeights(b, down), meanWeights(b, right)];
  const wide = b.matmul(g, b.unsqueeze(columns, [1]));
  const range = b.op("Range", [b.int(0), b.dim(x, 0), b.int(1)]);
  const owner = b.castLike(b.equal(b.unsqueeze(b.cast(images, "int64"), [1]), range), x);
  return stateShape(b.op("Einsum", [owner, rows, wide], { equation: "rn,rph,rcpw->nchw" }), x);
}

function sampleValues(b: OpBuilder, x: Value, rois: Value, axis: 2 | 3, attrs: RoiAttributes): SampleValues {
  const half = attrs.coordinate_transformation_mode === "half_pixel";
  const bins = axis === 2 ? attrs.output_height : attrs.output_width;
  const size = b.dim(x, axis);
  const corner = (at: number): Value => {
    const scaled = b.mul(b.slice(rois, { starts: [at], ends: [at + 1], axes: [1] }), attrs.spatial_scale);
    return half ? b.sub(scaled, 0.5) : scaled;
  };
  // [R, 1]
  const start = corner(3 - axis);
  const whole = b.sub(corner(5 - axis), start);
  const bin = b.div(half ? whole : b.max(whole, 1), bins);
  const adaptive = attrs.sampling_ratio <= 0;
  const taken = adaptive ? b.max(b.op("Ceil", [bin]), 0) : b.fillLike(bin, attrs.sampling_ratio);
  const number = b.max(taken, 1);
  const most = adaptive
    ? b.cast(b.reduceMax(number, undefined, false), "int64")
    : b.int(attrs.sampling_ratio);
  const counting = (count: Value): Value => b.castLike(b.op("Range", [b.int(0), count, b.int(1)]), rois);
  const sample = counting(most);
  const step = b.div(b.mul(b.add(sample, 0.5), bin), number);
  const first = b.add(start, b.mul(counting(b.int(bins)), bin));
  const place = b.add(b.unsqueeze(first, [2]), b.unsqueeze(step, [1]));
  const counts = b.unsqueeze(b.less(sample, taken), [1]);
  const end = b.castLike(size, rois);
  const isNear = b.and(counts, b.and(b.greaterOrEqual(place, -1), b.lessOrEqual(place, end)));
  return {
    inside: b.max(b.min(place, b.sub(end, 1)), 0),
    isNear: b.castLike(isNear, rois),
    counts,
    number,
    size,
  };
}

/** How much each element of the axis adds to each bin: `[R, bins, size]`. */
function meanWeights(b: OpBuilder, { inside, isNear, number, size }: SampleValues): Value {
  const elements = b.castLike(b.op("Range", [b.int(0), size, b.int(1)]), inside);
  const distance = b.abs(b.sub(b.unsqueeze(inside, [3]), elements));
  const share = b.max(b.sub(1, distance), 0);
  const near = b.unsqueeze(b.div(isNear, b.unsqueeze(number, [2])), [3]);
  return b.reduceSum(b.mul(share, near), [2], false);
}

function maximumGradient(
  b: OpBuilder,
  x: Value,
  g: Value,
  images: Value,
  down: SampleValues,
  right: SampleValues,
  attrs: RoiAttributes,
): Value {
  const bins = attrs.output_height * attrs.output_width;
  // [R, rows, 1, S, 1, 2, 1] and [R, 1, columns, 1, S, 1, 2]
  const rowAxes = [2, 4, 6];
  const columnAxes = [1, 3, 5];
  const flat = (value: Value): Value => b.reshape(value, [0, bins, -1]);
  const [rows, columns] = [neighbours(b, down), neighbours(b, right)];
  const at = b.add(b.mul(b.unsqueeze(rows.at, rowAxes), right.size), b.unsqueeze(columns.at, columnAxes));
  const weight = b.mul(b.unsqueeze(rows.weight, rowAxes), b.unsqueeze(columns.weight, columnAxes));
  const full = once(() => b.shape(weight));
  const counted = b.and(
    b.unsqueeze(b.unsqueeze(down.counts, [3]), rowAxes),
    b.unsqueeze(b.unsqueeze(right.counts, [3]), columnAxes),
  );
  const candidates = { at: flat(at), weight: flat(weight), counts: flat(b.expand(counted, full())) };
  return pickedMaximumGradient(b, x, b.cast(g, dtypeOf(x)), images, candidates);
}

/** The two elements beside each sample, along a new last axis. */
function neighbours(b: OpBuilder, { inside, isNear, size }: SampleValues): { at: Value; weight: Value } {
  const low = b.op("Floor", [inside]);
  const rest = b.sub(inside, low);
  const first = b.unsqueeze(b.cast(low, "int64"), [3]);
  const second = b.min(b.add(first, 1), b.sub(size, 1));
  const pair = b.concat([b.unsqueeze(b.sub(1, rest), [3]), b.unsqueeze(rest, [3])], 3);
  return { at: b.concat([first, second], 3), weight: b.mul(pair, b.unsqueeze(isNear, [3])) };
}
