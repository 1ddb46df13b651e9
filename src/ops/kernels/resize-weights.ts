/** Which elements of an axis a resized one is made of, with the weights that Resize gives them. */

/** Attributes of Resize that say how one axis is resized. */
export interface ResizeMode {
  readonly mode: string;
  readonly nearest_mode: string;
  readonly coordinate_transformation_mode: string;
  readonly cubic_coeff_a: number;
  readonly exclude_outside: number;
  readonly antialias: number;
}

/** An axis of which everything is known. `start` and `end` are its part of roi, as fractions of the axis. */
export interface ResizedAxis {
  readonly size: number;
  readonly output: number;
  readonly scale: number;
  readonly start: number;
  readonly end: number;
}

/** One term of a sum. */
export interface Tap {
  readonly at: number;
  readonly weight: number;
}

const f = Math.fround;

/**
 * Whether the axis keeps its elements: the runtime copies an axis of scale 1 even where tf_crop_and_resize
 * names a part of it, and one that keeps its size where antialiasing is on.
 */
export function keepsAxis({ scale, size, output }: ResizedAxis, { antialias }: ResizeMode): boolean {
  return scale === 1 || (antialias !== 0 && size === output);
}

/**
 * The terms of each element of the resized axis; undefined for those outside of the operand, which
 * tf_crop_and_resize replaces. Coordinates are rounded as the runtime rounds them, in float32, since a place
 * between two elements belongs to one of them by the last bit.
 */
export function resizeTaps(axis: ResizedAxis, mode: ResizeMode): (readonly Tap[] | undefined)[] {
  const crops = mode.coordinate_transformation_mode === "tf_crop_and_resize";
  return Array.from({ length: axis.output }, (_, index) => {
    if (keepsAxis(axis, mode)) return [{ at: index, weight: 1 }];
    const place = placeOf(index, axis, mode.coordinate_transformation_mode);
    if (crops && (place < 0 || place > axis.size - 1)) return undefined;
    if (mode.antialias !== 0) return antialiasedTaps(place, axis, mode);
    if (mode.mode === "nearest") return [{ at: nearestTo(place, axis.size, mode.nearest_mode), weight: 1 }];
    return mode.mode === "linear" ? linearTaps(place, axis.size) : cubicTaps(place, axis.size, mode);
  });
}

/** Where element `index` lies on the axis before resizing (ONNX Resize, coordinate_transformation_mode). */
function placeOf(index: number, { size, output, scale, start, end }: ResizedAxis, mode: string): number {
  switch (mode) {
    case "asymmetric":
      return f(index / scale);
    case "pytorch_half_pixel":
      return output > 1 ? f(f(f(index + 0.5) / scale) - 0.5) : 0;
    case "tf_half_pixel_for_nn":
      return f(f(index + 0.5) / scale);
    case "align_corners":
      return output === 1 ? 0 : f(f(index * (size - 1)) / (output - 1));
    case "tf_crop_and_resize":
      if (output <= 1) return f(0.5 * f(f(start + end) * (size - 1)));
      return f(f(start * (size - 1)) + f(f(f(index * f(end - start)) * (size - 1)) / (output - 1)));
    case "half_pixel_symmetric": {
      const offset = f(f(size / 2) * f(1 - f(output / f(scale * size))));
      return f(offset + (index + 0.5) / scale - 0.5);
    }
    default:
      return f(f(f(index + 0.5) / scale) - 0.5);
  }
}

function nearestTo(place: number, size: number, mode: string): number {
  return clampIndex(roundPlace(place, mode), size);
}

function roundPlace(place: number, mode: string): number {
  switch (mode) {
    case "floor":
      return Math.floor(place);
    case "ceil":
      return Math.ceil(place);
    case "round_prefer_ceil":
      return Math.floor(place + 0.5);
    default:
      return Math.ceil(place - 0.5);
  }
}

function linearTaps(place: number, size: number): Tap[] {
  const inside = Math.max(0, Math.min(place, size - 1));
  const before = Math.floor(inside);
  const rest = inside - before;
  if (rest === 0) return [{ at: before, weight: 1 }];
  return [
    { at: before, weight: 1 - rest },
    { at: before + 1, weight: rest },
  ];
}

/** Four neighbours weighted by a cubic (Keys, "Cubic convolution interpolation", 1981). */
function cubicTaps(place: number, size: number, mode: ResizeMode): Tap[] {
  const before = Math.floor(place);
  return gather(
    [-1, 0, 1, 2].map((step) => before + step),
    (at) => cubicFilter(f(place - before) - (at - before), mode.cubic_coeff_a),
    size,
    mode,
  );
}

/** Neighbours weighted by the filter stretched over as many elements as one of the result stands for. */
function antialiasedTaps(place: number, { size, scale }: ResizedAxis, mode: ResizeMode): Tap[] {
  const shrink = Math.max(1, f(1 / scale));
  const reach = f((mode.mode === "cubic" ? 2 : 1) * shrink);
  const center = f(place + 0.5);
  const first = Math.floor(f(f(center - reach) + 0.5));
  const last = Math.floor(f(f(center + reach) + 0.5));
  const filter = mode.mode === "cubic" ? cubicFilter : tent;
  const inverse = f(1 / shrink);
  return gather(
    Array.from({ length: Math.max(0, last - first) }, (_, step) => first + step),
    (at) => filter(f(f(f(at - center) + 0.5) * inverse), mode.cubic_coeff_a),
    size,
    mode,
  );
}

/**
 * Terms whose weights sum to 1. Those beyond an end count for the last element there, or not at all where
 * exclude_outside is set.
 */
function gather(
  places: readonly number[],
  weigh: (at: number) => number,
  size: number,
  mode: ResizeMode,
): Tap[] {
  const used = mode.exclude_outside === 0 ? places : places.filter((at) => at >= 0 && at < size);
  const taps = used.map((at) => ({ at: clampIndex(at, size), weight: weigh(at) }));
  const total = taps.reduce((sum, { weight }) => sum + weight, 0);
  return taps.map(({ at, weight }) => ({ at, weight: weight / (total === 0 ? 1 : total) }));
}

function tent(x: number): number {
  return Math.max(0, 1 - Math.abs(x));
}

function cubicFilter(x: number, a: number): number {
  const d = Math.abs(x);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}

function clampIndex(at: number, size: number): number {
  return Math.max(0, Math.min(at, size - 1));
}
