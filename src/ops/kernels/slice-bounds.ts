/** Bounds of slices along one axis, in numbers and in symbolic dimensions. */
import {
  addDims,
  ceilDivDims,
  type Dim,
  dimsEqual,
  isUnknown,
  maxDims,
  minDims,
  mulDims,
  subDims,
  substituteDim,
  symbol,
  unknownDim,
} from "../../ir/dim.ts";
import { isNonNegative } from "../../ir/dim-sign.ts";

/** First position and number of elements taken, with the step between them. */
export interface SliceRange {
  readonly start: number;
  readonly count: number;
  readonly step: number;
}

/** Bounds of a slice as ONNX clamps them (Slice, opset 13). */
export function clampSlice(size: number, start: number, end: number, step: number): SliceRange {
  const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
  const clamp = (at: number, least: number): number =>
    Math.min(high, Math.max(least, at < 0 ? at + size : at));
  const first = clamp(start, 0);
  const last = clamp(end, low);
  return { start: first, count: size === 0 ? 0 : Math.max(0, Math.ceil((last - first) / step)), step };
}

/** Bounds at or beyond this stand for "to the end" whatever the size, as exporters write them. */
const endless = 2 ** 31 - 1;

/**
 * Number of elements that a slice of a symbolic axis takes; an unknown where the signs of bounds cannot be
 * told.
 */
export function sliceLength(size: Dim, start: Dim, end: Dim, step: number): Dim {
  if (typeof size === "number" && typeof start === "number" && typeof end === "number") {
    return clampSlice(size, start, end, step).count;
  }
  if (step > 0) {
    const [from, to] = [boundAt(size, start), boundAt(size, end)];
    if (from === undefined || to === undefined) return unknownDim();
    return ceilDivDims(atLeastZero(subDims(to, from)), step);
  }
  const last = subDims(size, 1);
  const from = typeof start === "number" && start >= endless ? last : boundAt(size, start, last);
  const to = typeof end === "number" && end <= -endless ? -1 : boundAt(size, end, last);
  if (from === undefined || to === undefined) return unknownDim();
  return ceilDivDims(atLeastZero(subDims(from, to)), -step);
}

/**
 * A bound as a position from the front, at most `most`. A symbolic bound on an axis of known size is taken to
 * lie within it: tables that are cut to the length at hand are long enough in every run whose results fit
 * together.
 */
function boundAt(size: Dim, bound: Dim, most: Dim = size): Dim | undefined {
  if (typeof bound === "number" && bound >= endless) return most;
  if (typeof bound === "number" && bound <= -endless) return 0;
  if (dimsEqual(bound, size)) return most;
  if (isAtLeastZero(bound)) {
    if (typeof bound !== "number" && typeof size === "number") return bound;
    return isAtLeastZero(subDims(most, bound)) ? bound : minDims(bound, most);
  }
  if (!isAtLeastZero(mulDims(bound, -1))) return undefined;
  return atLeastZero(addDims(size, bound), typeof size === "number" && typeof bound !== "number");
}

function atLeastZero(dim: Dim, assumed = false): Dim {
  return assumed || isAtLeastZero(dim) ? dim : maxDims(dim, 0);
}

/** Whether a dimension is 0 or more whenever every named axis is 1 or more. */
export function isAtLeastZero(dim: Dim): boolean {
  if (isNonNegative(dim)) return true;
  return isNonNegative(
    substituteDim(dim, (name) => (isUnknown(symbol(name)) ? undefined : addDims(symbol(name), 1))),
  );
}
