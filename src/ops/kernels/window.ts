/**
 * Sliding windows of convolutions and pools: padding, output sizes, and which elements each window covers.
 */
import { InternalError } from "../../diagnostics/define.ts";
import {
  addDims,
  ceilDivDims,
  type Dim,
  floorDivDims,
  maxDims,
  minDims,
  mulDims,
  subDims,
  unknownDim,
} from "../../ir/dim.ts";
import { countElements, type Shape, windowSize } from "../../ir/shape.ts";
import { NDArray } from "../ndarray.ts";
import { boxOffsets, nowhere, permuteAxes } from "./rearrange.ts";

/** Attributes that convolutions and pools share. */
export interface WindowAttributes {
  readonly auto_pad: string;
  readonly pads: readonly number[] | undefined;
  readonly strides: readonly number[] | undefined;
  readonly dilations: readonly number[] | undefined;
  readonly ceil_mode?: number;
}

/** Values of auto_pad. */
export const paddings = ["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"];

/** A window along one axis. Padding is symbolic, or unknown, where it depends on a size that is. */
export interface WindowAxis {
  readonly kernel: Dim;
  readonly stride: number;
  readonly dilation: number;
  /** Elements from the first to the last that the window covers. */
  readonly span: Dim;
  readonly before: Dim;
  readonly after: Dim;
  /** Number of windows. */
  readonly output: Dim;
}

/** A window of which everything is known. */
export type KnownAxis = { readonly [K in keyof WindowAxis]: number };

/** Windows over spatial axes of the given sizes (ONNX Conv, MaxPool, AveragePool). */
export function planWindows(attrs: WindowAttributes, kernel: Shape, sizes: Shape): WindowAxis[] {
  return kernel.map((length, axis) => {
    const size = sizes[axis] ?? unknownDim();
    const stride = attrs.strides?.[axis] ?? 1;
    const dilation = attrs.dilations?.[axis] ?? 1;
    const span = spanOf(length, dilation);
    const base = { kernel: length, stride, dilation, span };
    if (attrs.auto_pad === "SAME_UPPER" || attrs.auto_pad === "SAME_LOWER") {
      const output = ceilDivDims(size, stride);
      return { ...base, ...samePadding(size, output, stride, span, attrs.auto_pad), output };
    }
    const explicit = attrs.auto_pad === "VALID" ? undefined : attrs.pads;
    const [before, after] = [explicit?.[axis] ?? 0, explicit?.[axis + kernel.length] ?? 0];
    const window = { kernel: length, stride, dilation, padding: before + after };
    if (attrs.ceil_mode !== 1) return { ...base, before, after, output: windowSize(size, window) };
    return {
      ...base,
      before,
      after,
      output: ceiledSize(size, span, stride, { before, after }, windowSize(size, { ...window, ceil: true })),
    };
  });
}

/** Elements from the first to the last of a kernel. */
export function spanOf(kernel: Dim, dilation: number): Dim {
  return addDims(mulDims(subDims(kernel, 1), dilation), 1);
}

/** The same with every size known. @throws InternalError otherwise. */
export function knownWindows(
  attrs: WindowAttributes,
  kernel: readonly number[],
  sizes: readonly number[],
): KnownAxis[] {
  return planWindows(attrs, kernel, sizes).map(knownAxis);
}

/** A window of which everything is known. @throws InternalError otherwise. */
export function knownAxis(axis: WindowAxis): KnownAxis {
  const number = (dim: Dim): number => {
    if (typeof dim !== "number") throw new InternalError("a window of sizes that are not known");
    return dim;
  };
  return {
    kernel: number(axis.kernel),
    stride: axis.stride,
    dilation: axis.dilation,
    span: number(axis.span),
    before: number(axis.before),
    after: number(axis.after),
    output: number(axis.output),
  };
}

/**
 * Offsets of the elements that each window covers, {@link nowhere} for padding, as `windows x elements of the
 * kernel`.
 *
 * @param sizes of the axes that the windows lie on; `counts` windows stand on each.
 */
export function windowTaps(
  sizes: readonly number[],
  counts: readonly number[],
  axes: readonly Pick<KnownAxis, "kernel" | "stride" | "dilation" | "before">[],
): Float64Array<ArrayBuffer> {
  const perAxis = axes.map(({ kernel, stride, dilation, before }, axis) => {
    const [size = 1, count = 0] = [sizes[axis], counts[axis]];
    const step = countElements(sizes.slice(axis + 1));
    return Array.from({ length: count * kernel }, (_, at) => {
      const place = Math.floor(at / kernel) * stride + (at % kernel) * dilation - before;
      return place < 0 || place >= size ? nowhere : place * step;
    });
  });
  const interleaved = axes.flatMap(({ kernel }, axis) => [counts[axis] ?? 0, kernel]);
  const offsets = new NDArray("int32", interleaved, Float64Array.from(boxOffsets(perAxis)));
  const order = [...axes.map((_, axis) => 2 * axis), ...axes.map((_, axis) => 2 * axis + 1)];
  return permuteAxes(offsets, order).numbers;
}

function samePadding(
  size: Dim,
  output: Dim,
  stride: number,
  span: Dim,
  mode: string,
): { before: Dim; after: Dim } {
  // With a stride of 1 the padding does not depend on the size.
  const missing =
    stride === 1 ? subDims(span, 1) : subDims(addDims(mulDims(subDims(output, 1), stride), span), size);
  const total = maxDims(missing, 0);
  if (typeof total !== "number") return { before: unknownDim(), after: unknownDim() };
  const half = Math.floor(total / 2);
  return mode === "SAME_UPPER"
    ? { before: half, after: total - half }
    : { before: total - half, after: half };
}

/** Rounded up, but the last window must begin inside the operand or the padding before it. */
function ceiledSize(
  size: Dim,
  span: Dim,
  stride: number,
  padding: { readonly before: number; readonly after: number },
  output: Dim,
): Dim {
  if (typeof span === "number" && span - padding.after >= stride) return output;
  const reached = subDims(addDims(size, padding.before), 1);
  return minDims(output, addDims(floorDivDims(reached, stride), 1));
}
