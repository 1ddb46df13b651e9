/** Windows of ConvTranspose: those of the convolution that it transposes, on its result. */
import { addDims, type Dim, maxDims, mulDims, subDims, unknownDim } from "../../ir/dim.ts";
import type { Shape } from "../../ir/shape.ts";
import { spanOf, type WindowAttributes, type WindowAxis } from "./window.ts";

/** Attributes of ConvTranspose beside those of every window. */
export interface TransposedAttributes extends WindowAttributes {
  readonly output_padding: readonly number[] | undefined;
  readonly output_shape: readonly number[] | undefined;
}

/** A window whose `output` is the size of the result, `rest` of which no window reaches. */
export interface TransposedAxis extends WindowAxis {
  readonly rest: number | undefined;
}

/** Windows for an operand of the given spatial sizes (ONNX ConvTranspose). */
export function transposedWindows(
  attrs: TransposedAttributes,
  kernel: Shape,
  sizes: Shape,
): TransposedAxis[] {
  return kernel.map((length, axis) => {
    const size = sizes[axis] ?? unknownDim();
    const stride = attrs.strides?.[axis] ?? 1;
    const dilation = attrs.dilations?.[axis] ?? 1;
    const added = attrs.output_padding?.[axis] ?? 0;
    const span = spanOf(length, dilation);
    const base = { kernel: length, stride, dilation, span };
    const whole = addDims(mulDims(subDims(size, 1), stride), addDims(span, added));
    const wanted = wantedSize(attrs, axis, sizes.length, mulDims(size, stride));
    if (wanted === undefined) {
      const explicit = attrs.auto_pad === "VALID" ? undefined : attrs.pads;
      const [before, after] = [explicit?.[axis] ?? 0, explicit?.[axis + kernel.length] ?? 0];
      return { ...base, before, after, output: subDims(whole, before + after), rest: added };
    }
    const missing = subDims(whole, wanted);
    const total = maxDims(missing, 0);
    if (typeof total !== "number" || typeof missing !== "number") {
      return { ...base, before: unknownDim(), after: unknownDim(), output: wanted, rest: undefined };
    }
    const half = Math.floor(total / 2);
    const [before, after] = attrs.auto_pad === "SAME_UPPER" ? [half, total - half] : [total - half, half];
    // What the result has beyond the windows, where the wanted size is larger than they reach.
    return { ...base, before, after, output: wanted, rest: added + Math.max(0, -missing) };
  });
}

/** The size that attributes ask for; undefined where padding decides. */
function wantedSize(attrs: TransposedAttributes, axis: number, rank: number, same: Dim): Dim | undefined {
  const { output_shape: shape, auto_pad: mode } = attrs;
  if (shape !== undefined && shape.length > 0) return shape[shape.length - rank + axis];
  return mode === "SAME_UPPER" || mode === "SAME_LOWER" ? same : undefined;
}
