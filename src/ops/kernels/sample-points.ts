/** Values between the elements of an image: which elements make them up, evaluated and as operators. */
import { InternalError } from "../../diagnostics/define.ts";
import { float32Tensor } from "../../ir/constant.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dimOf, rankOf } from "../facts.ts";
import type { Tap } from "./resize-weights.ts";

/** How elements near a place are weighted, and what stands for those beyond the ends. */
export interface Sampling {
  readonly order: "nearest" | "linear" | "cubic";
  readonly padding: "zeros" | "border" | "reflection";
  /** Whether reflection is about the middle of the last element, or about its outer edge. */
  readonly alignCorners: boolean;
}

/** Elements that a place along one axis is made of, along a new last axis of operands of one shape. */
export interface AxisTaps {
  /** Indices, int64, inside of the axis. */
  readonly at: Value;
  /** Weights, 0 for elements outside where those are zero. */
  readonly weight: Value;
  /** Derivatives of the weights by the place. */
  readonly slope: Value;
}

/** Coefficients of each neighbour's weight as a polynomial in the way from the first element, by power. */
interface Weights {
  readonly offsets: readonly number[];
  /** One row a power, one column a neighbour. */
  readonly rows: readonly (readonly number[])[];
}

/** Keys, "Cubic convolution interpolation", 1981, with the coefficient -0.75 that PyTorch takes. */
const cubic: Weights = {
  offsets: [-1, 0, 1, 2],
  rows: [
    [0, 1, 0, 0],
    [-0.75, 0, 0.75, 0],
    [1.5, -2.25, 1.5, -0.75],
    [-0.75, 1.25, -1.25, 0.75],
  ],
};
const linear: Weights = {
  offsets: [0, 1],
  rows: [
    [1, 0],
    [-1, 1],
  ],
};
const nearest: Weights = { offsets: [0], rows: [[1]] };

const orders = { nearest, linear, cubic };

/** The elements that a place on an axis is made of; those outside of it are left out where they are zero. */
export function tapsAt(place: number, size: number, sampling: Sampling): Tap[] {
  const first = sampling.order === "nearest" ? roundEven(place) : Math.floor(place);
  const t = place - first;
  const { offsets, rows } = orders[sampling.order];
  return offsets.flatMap((offset, column) => {
    const index = first + offset;
    if (sampling.padding === "zeros" && (index < 0 || index >= size)) return [];
    const weight = rows.reduce((sum, row, power) => sum + (row[column] ?? 0) * t ** power, 0);
    return [{ at: insideIndex(index, size, sampling), weight }];
  });
}

function insideIndex(index: number, size: number, { padding, alignCorners }: Sampling): number {
  if (padding !== "reflection") return Math.max(0, Math.min(index, size - 1));
  const period = Math.max(1, alignCorners ? 2 * (size - 1) : 2 * size);
  const rest = ((index % period) + period) % period;
  return Math.min(rest, alignCorners ? period - rest : period - 1 - rest);
}

function roundEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

/**
 * The same as operators. Where two pieces of the interpolation meet, the derivative is that of the right one,
 * and at the first and last element 0 unless zeros lie beyond them, as PyTorch has it.
 *
 * @param places float tensor of any shape, in elements from the first.
 * @param size int64 scalar.
 */
export function axisTaps(b: OpBuilder, places: Value, size: Value, sampling: Sampling): AxisTaps {
  const { offsets, rows } = orders[sampling.order];
  const last = [rankOf(places)];
  const first = b.op(sampling.order === "nearest" ? "Round" : "Floor", [places]);
  // Whole numbers beyond these mean the same, and int64 does not hold all floats.
  const start = b.cast(
    b.op("Clip", [
      first,
      b.castLike(b.scalar(-far, "float32"), first),
      b.castLike(b.scalar(far, "float32"), first),
    ]),
    "int64",
  );
  const around = b.add(b.unsqueeze(start, last), b.ints(offsets));
  const at = inside(b, around, size, sampling);
  const t = b.unsqueeze(b.sub(places, first), last);
  const powers = (coefficients: readonly (readonly number[])[]): Value => {
    const terms = coefficients.map((row, power) => {
      const column = b.castLike(b.constant(float32Tensor(row)), places);
      return power === 0 ? column : b.mul(power === 1 ? t : b.pow(t, power), column);
    });
    return terms.reduce((sum, term) => b.add(sum, term));
  };
  const derivative = rows.slice(1).map((row, power) => row.map((coefficient) => coefficient * (power + 1)));
  const weight = sampling.order === "nearest" ? b.fillLike(t, 1) : powers(rows);
  const slope = sampling.order === "nearest" ? b.zerosLike(t) : powers(derivative);
  if (sampling.padding === "zeros") {
    const isInside = b.castLike(b.equal(at, around), places);
    return { at, weight: b.mul(weight, isInside), slope: b.mul(slope, isInside) };
  }
  if (sampling.order !== "linear") return { at, weight, slope };
  const begin = b.slice(at, { starts: [0], ends: [1], axes: last });
  const isEnd = b.or(b.equal(begin, 0), b.equal(begin, b.sub(size, 1)));
  const isCorner = b.and(b.equal(t, 0), isEnd);
  return { at, weight, slope: b.where(isCorner, 0, slope) };
}

const far = 2 ** 24;

function inside(b: OpBuilder, index: Value, size: Value, { padding, alignCorners }: Sampling): Value {
  const end = b.sub(size, 1);
  if (padding !== "reflection") return b.max(b.min(index, end), 0);
  const period = b.max(b.mul(alignCorners ? end : size, 2), 1);
  const rest = b.mod(index, period);
  return b.min(rest, b.sub(alignCorners ? period : b.sub(period, 1), rest));
}

/** Taps of several axes joined: every combination of one neighbour an axis, along one last axis. */
export interface PointTaps {
  /** Row-major position in the image, int64. */
  readonly at: Value;
  readonly weight: Value;
  /** For each axis, the derivative of the weight by the place along it. */
  readonly slopes: readonly Value[];
}

/** @param sizes int64 scalars, one an axis. */
export function pointTaps(b: OpBuilder, axes: readonly AxisTaps[], sizes: readonly Value[]): PointTaps {
  const [any] = axes;
  if (any === undefined) throw new InternalError("a point without coordinates");
  const rank = rankOf(any.at) - 1;
  const spread = (value: Value, axis: number): Value => {
    const others = axes.map((_, other) => rank + other).filter((other) => other !== rank + axis);
    return b.unsqueeze(value, others);
  };
  const count = axes.reduce((all, { at }) => all * Number(dimOf(at, -1)), 1);
  const flat = (value: Value): Value =>
    axes.length === 1 ? value : b.reshape(value, [...new Array<number>(rank).fill(0), count]);
  const product = (parts: readonly Value[]): Value => parts.reduce((left, right) => b.mul(left, right));
  const at = axes
    .map(({ at: own }, axis) => spread(own, axis))
    .reduce((sum, own, axis) => b.add(b.mul(sum, sizes[axis] ?? b.int(1)), own));
  return {
    at: flat(at),
    weight: flat(product(axes.map(({ weight }, axis) => spread(weight, axis)))),
    slopes: axes.map((_, by) =>
      flat(product(axes.map(({ weight, slope }, axis) => spread(axis === by ? slope : weight, axis)))),
    ),
  };
}
