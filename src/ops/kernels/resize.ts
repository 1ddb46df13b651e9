/** Sizes and evaluation of Resize. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { type AttributeLike, floatAttribute } from "../../ir/attribute.ts";
import { constantOf } from "../../ir/constant.ts";
import { type Dim, floorDivDims, mulDims, unknownDim } from "../../ir/dim.ts";
import { isInteger } from "../../ir/dtype.ts";
import type { Node } from "../../ir/node.ts";
import { countElements, type Shape, staticShape } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import { fromNumbers, fromTensor, type NDArray } from "../ndarray.ts";
import { dimsIn } from "./content.ts";
import { countUp, nowhere, pickAlongAxes } from "./rearrange.ts";
import { axisOf } from "./reduction-axes.ts";
import { keepsAxis, type ResizedAxis, type ResizeMode, resizeTaps, type Tap } from "./resize-weights.ts";

/** Attributes of Resize. */
export interface ResizeAttributes extends ResizeMode {
  readonly axes: readonly number[] | undefined;
  readonly extrapolation_value: number;
  readonly keep_aspect_ratio_policy: string;
}

/** What says how a Resize computes an element, as attributes of another Resize. */
export function interpolation(attrs: ResizeAttributes): Record<string, AttributeLike | undefined> {
  return {
    mode: attrs.mode,
    nearest_mode: attrs.mode === "nearest" ? attrs.nearest_mode : undefined,
    coordinate_transformation_mode: attrs.coordinate_transformation_mode,
    cubic_coeff_a: attrs.mode === "cubic" ? floatAttribute(attrs.cubic_coeff_a) : undefined,
    exclude_outside: attrs.exclude_outside === 0 ? undefined : 1,
    antialias: attrs.antialias === 0 ? undefined : 1,
  };
}

/** Operands that say how much is resized, as far as they are known. */
export interface ResizeTarget {
  /** One factor for each axis that `axes` names, or for every axis. */
  readonly scales?: readonly number[] | undefined;
  readonly sizes?: readonly Dim[] | undefined;
}

/** How one axis of the operand changes. */
export interface AxisChange {
  readonly output: Dim;
  /** Undefined where it is known at run time only. */
  readonly scale: number | undefined;
}

/** The operand, or undefined where it is left out or empty, which means the same up to opset 12. */
export function presentOperand(operand: Value | undefined): Value | undefined {
  return operand?.tensorType?.shape?.[0] === 0 ? undefined : operand;
}

/** What is known of the operands before the model runs. */
export function knownTarget(scales: Value | undefined, sizes: Value | undefined): ResizeTarget {
  const [factors, target] = [presentOperand(scales), presentOperand(sizes)];
  const tensor = constantOf(factors);
  return {
    scales: factors && tensor && fromTensor(tensor).toNumbers(),
    sizes: target && (dimsIn(target) ?? []),
  };
}

/** The axes that scales, sizes and roi speak of. */
export function resizedAxes(
  node: Node,
  axes: readonly number[] | undefined,
  rank: number,
): readonly number[] {
  return axes === undefined ? countUp(rank) : axes.map((axis) => axisOf(node, axis, rank));
}

/**
 * Sizes and factors of every axis (ONNX Resize, opset 19): `floor(size * scale)` in float32, or the sizes asked
 * for, from which keep_aspect_ratio_policy takes one factor for all.
 */
export function planResize(
  node: Node,
  shape: Shape,
  attrs: ResizeAttributes,
  target: ResizeTarget,
): AxisChange[] {
  const axes = resizedAxes(node, attrs.axes, shape.length);
  const { scales, sizes } = target;
  const given = scales ?? sizes;
  if (given !== undefined && given.length > 0 && given.length !== axes.length) {
    const name = scales === undefined ? "sizes" : "scales";
    throw operatorErrors.E_BAD_OPERAND(node, name, `${axes.length} elements, one an axis`, `${given.length}`);
  }
  const policy = attrs.keep_aspect_ratio_policy;
  const shared =
    policy === "stretch" || sizes === undefined ? undefined : sharedScale(shape, axes, sizes, policy);
  return shape.map((size, axis) => {
    const index = axes.indexOf(axis);
    if (index < 0) return { output: size, scale: 1 };
    const scale = scales?.[index];
    if (scale !== undefined) return { output: scaledSize(size, scale), scale: Math.fround(scale) };
    const wanted = sizes?.[index];
    if (wanted === undefined) return { output: unknownDim(), scale: undefined };
    if (policy === "stretch") return { output: wanted, scale: quotient(wanted, size) };
    if (shared === undefined || typeof size !== "number") return { output: unknownDim(), scale: undefined };
    return { output: Math.floor(Math.fround(shared * size) + 0.5), scale: shared };
  });
}

/** The smallest or largest factor of all axes, where all sizes are known. */
function sharedScale(
  shape: Shape,
  axes: readonly number[],
  sizes: readonly Dim[],
  policy: string,
): number | undefined {
  const factors = axes.map((axis, index) =>
    quotient(sizes[index] ?? unknownDim(), shape[axis] ?? unknownDim()),
  );
  const known = factors.filter((factor) => factor !== undefined);
  if (known.length < factors.length) return undefined;
  return policy === "not_larger" ? Math.min(...known) : Math.max(...known);
}

function quotient(output: Dim, size: Dim): number | undefined {
  if (typeof output === "number" && typeof size === "number")
    return size === 0 ? 1 : Math.fround(output / size);
  const exact = floorDivDims(output, size);
  return typeof exact === "number" ? exact : undefined;
}

/** Symbolic where the factor is a fraction of a power of two, such as 0.5 or 1.25, which float32 multiplies exactly. */
function scaledSize(size: Dim, scale: number): Dim {
  const factor = Math.fround(scale);
  if (typeof size === "number") return Math.floor(Math.fround(factor * size));
  for (let divisor = 1; divisor <= 64; divisor *= 2) {
    if (Number.isInteger(factor * divisor)) return floorDivDims(mulDims(size, factor * divisor), divisor);
  }
  return unknownDim();
}

/** The axes of an operand of known sizes; undefined where some size or factor is not known. */
export function knownResize(
  shape: Shape,
  changes: readonly AxisChange[],
  axes: readonly number[],
  roi: readonly number[] | undefined,
): ResizedAxis[] | undefined {
  const sizes = staticShape(shape);
  if (sizes === undefined) return undefined;
  const known = changes.flatMap(({ output, scale }, axis) => {
    const size = sizes[axis];
    if (typeof output !== "number" || scale === undefined || size === undefined) return [];
    const index = axes.indexOf(axis);
    const [start, end] = index < 0 ? [0, 1] : [roi?.[index] ?? 0, roi?.[index + axes.length] ?? 1];
    return [{ size, output, scale, start: Math.fround(start), end: Math.fround(end) }];
  });
  return known.length === sizes.length ? known : undefined;
}

/** Whether nothing changes: the runtime copies an operand that keeps all its sizes, whatever the factors. */
export function keepsAll(axes: readonly ResizedAxis[]): boolean {
  return axes.every(({ size, output }) => size === output);
}

/**
 * Resizes an array along each axis in turn, the last one first. Sums of whole numbers are cut off as the runtime
 * cuts them, or rounded on each axis where antialiasing is on; its kernels for 8 bits may differ by one.
 */
export function resizeArray(
  x: NDArray,
  axes: readonly ResizedAxis[],
  attrs: ResizeAttributes,
  exact: boolean,
): NDArray {
  if (keepsAll(axes)) return x;
  const maps = axes.map((axis) => (keepsAxis(axis, attrs) ? undefined : resizeTaps(axis, attrs)));
  if (attrs.mode === "nearest") {
    const picks = axes.map(
      (axis, index) => maps[index]?.map((taps) => taps?.[0]?.at ?? nowhere) ?? countUp(axis.size),
    );
    return pickAlongAxes(x, picks, fromNumbers(x.dtype, [], [attrs.extrapolation_value], exact));
  }
  let [shape, values] = [x.shape, x.toNumbers()];
  const whole = isInteger(x.dtype);
  maps.toReversed().forEach((taps, fromLast) => {
    if (taps === undefined) return;
    const axis = x.rank - 1 - fromLast;
    values = resizeAxis(values, shape, axis, taps, attrs.extrapolation_value);
    if (whole && attrs.antialias !== 0) values = values.map(Math.round);
    shape = shape.with(axis, taps.length);
  });
  return fromNumbers(x.dtype, shape, whole ? values.map(Math.trunc) : values, exact);
}

function resizeAxis(
  values: readonly number[],
  shape: readonly number[],
  axis: number,
  taps: readonly (readonly Tap[] | undefined)[],
  outside: number,
): number[] {
  const size = shape[axis] ?? 1;
  const [outer, inner] = [countElements(shape.slice(0, axis)), countElements(shape.slice(axis + 1))];
  const result: number[] = [];
  for (let o = 0; o < outer; o++) {
    for (const terms of taps) {
      for (let i = 0; i < inner; i++) {
        const sum = terms?.reduce(
          (total, { at, weight }) => total + weight * (values[(o * size + at) * inner + i] ?? 0),
          0,
        );
        result.push(sum ?? outside);
      }
    }
  }
  return result;
}
