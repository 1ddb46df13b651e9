/** Zero mean and unit variance over some axes: evaluation, and the derivative that all normalizations share. */
import { type DType, isLow } from "../../ir/dtype.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf } from "../facts.ts";
import type { NDArray } from "../ndarray.ts";
import { broadcastOffsets } from "./elementwise.ts";
import { foldNumbers, planReduction, type ReductionPlan } from "./reduce.ts";

/** Statistics of groups of elements, and the elements in their terms. */
export interface Standardized {
  readonly plan: ReductionPlan;
  readonly means: Float64Array<ArrayBuffer>;
  readonly variances: Float64Array<ArrayBuffer>;
  readonly inverses: Float64Array<ArrayBuffer>;
  readonly normalized: Float64Array<ArrayBuffer>;
}

/** How elements are centred and scaled. */
export interface StandardizeOptions {
  readonly axes: readonly number[];
  readonly epsilon: number;
  /** Whether the mean is subtracted; without it the scale is the root mean square. */
  readonly centered: boolean;
}

/** `(x - mean) / sqrt(variance + epsilon)` in doubles. */
export function standardize(x: NDArray, { axes, epsilon, centered }: StandardizeOptions): Standardized {
  const plan = planReduction(x.shape, axes);
  const average = {
    start: 0,
    step: (sum: number, v: number) => sum + v,
    finish: (sum: number, n: number) => sum / n,
  };
  const means = centered ? foldNumbers(x.numbers, plan, average) : new Float64Array(plan.size);
  const deviations = x.numbers.map((value, i) => value - (means[plan.cells[i] ?? 0] ?? 0));
  const variances = foldNumbers(
    deviations.map((d) => d * d),
    plan,
    average,
  );
  const inverses = variances.map((variance) => 1 / Math.sqrt(variance + epsilon));
  const normalized = deviations.map((d, i) => d * (inverses[plan.cells[i] ?? 0] ?? 0));
  return { plan, means, variances, inverses, normalized };
}

/** `values * scale + bias` in doubles, with operands that broadcast to `shape`. */
export function scaleAndShift(
  values: Float64Array<ArrayBuffer>,
  shape: readonly number[],
  scale: NDArray,
  bias: NDArray | undefined,
): Float64Array<ArrayBuffer> {
  const scaleAt = broadcastOffsets(scale.shape, shape);
  const biasAt = bias === undefined ? undefined : broadcastOffsets(bias.shape, shape);
  return values.map(
    (value, i) => value * (scale.numbers[scaleAt[i] ?? 0] ?? 1) + (bias?.numbers[biasAt?.[i] ?? 0] ?? 0),
  );
}

/** The type that statistics of `dtype` elements are computed in. */
export function statisticsType(dtype: DType): DType {
  return isLow(dtype) ? "float32" : dtype;
}

/** A normalized value inside a gradient rule, in the type of its statistics. */
export interface NormalizedValue {
  readonly hat: Value;
  readonly inverse: Value;
}

/**
 * Computes the normalized operand again, from saved statistics where they are given in full precision.
 *
 * @param saved mean and inverse deviation with size 1 along `axes`.
 */
export function normalizedAgain(
  b: OpBuilder,
  x: Value,
  { axes, epsilon, centered }: StandardizeOptions,
  saved: { readonly mean?: Value | undefined; readonly inverse?: Value | undefined } = {},
): NormalizedValue {
  const dtype = statisticsType(dtypeOf(x));
  const wide = b.cast(x, dtype);
  const usable = (value: Value | undefined): Value | undefined =>
    value !== undefined && dtypeOf(value) === dtype ? value : undefined;
  const deviation = centered ? b.sub(wide, usable(saved.mean) ?? b.reduceMean(wide, axes)) : wide;
  const inverse =
    usable(saved.inverse) ??
    b.reciprocal(b.sqrt(b.add(b.reduceMean(b.mul(deviation, deviation), axes), epsilon)));
  return { hat: b.mul(deviation, inverse), inverse };
}

/**
 * Gradient of the operand of a normalization: `inverse (g - mean(g) - hat mean(g hat))`, without `mean(g)` where the
 * mean is not subtracted (Ba, Kiros and Hinton, "Layer Normalization", 2016; the same for every choice of axes).
 *
 * @param g gradient of the normalized value, in the same type.
 */
export function standardizeGradient(
  b: OpBuilder,
  { hat, inverse }: NormalizedValue,
  g: Value,
  { axes, centered }: Omit<StandardizeOptions, "epsilon">,
): Value {
  const along = b.mul(hat, b.reduceMean(b.mul(g, hat), axes));
  const rest = centered ? b.sub(b.sub(g, b.reduceMean(g, axes)), along) : b.sub(g, along);
  return b.mul(inverse, rest);
}
