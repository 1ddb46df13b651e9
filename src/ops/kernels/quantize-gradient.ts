/** Pieces of straight-through gradients: quantised numbers as real ones, and what was not cut at the bounds of a type. */
import { isSmallFloat } from "../../formats/small-floats.ts";
import { type DType, isInteger } from "../../ir/dtype.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf } from "../facts.ts";
import { boundsOf } from "./quantize.ts";
import { alignScales, type ScaleAxis } from "./quantize-axis.ts";
import { inFloat32 } from "./zero-pad.ts";

/**
 * Quantised numbers in a float type. By DequantizeLinear with a scale of 1, which takes every such type, and which the runtime
 * does not fold into a wide constant as it would fold a Cast.
 */
export function realNumbers(b: OpBuilder, x: Value, dtype: DType = "float32"): Value {
  // Before opset 21 only the runtime's own form takes types of 16 and 4 bits, which then stand in its domain already.
  const own = b.opset < 21 && /^u?int(16|4)$/.test(dtypeOf(x));
  const options = own ? { domain: "com.microsoft" } : {};
  const numbers = b.op("DequantizeLinear", [x, b.scalar(1, "float32")], { axis: 0 }, options);
  return b.cast(numbers, dtype);
}

/**
 * Where `ratio`, once rounded and moved by the zero point, lies within a type; a truth value for each element.
 *
 * @param ratio the data divided by its scale.
 */
export function insideBounds(
  b: OpBuilder,
  ratio: Value,
  {
    dtype,
    zero,
    like,
    ...attrs
  }: ScaleAxis & { readonly dtype: DType; readonly zero: Value | undefined; readonly like: Value },
): Value {
  const [least, most] = boundsOf(dtype);
  // Numbers of 8-bit floats are cut, too, but have no zero point and no place between two whole numbers.
  const rounded = isInteger(dtype) ? inFloat32(b, [ratio], ([x]) => b.op("Round", [x ?? ratio])) : ratio;
  const shift =
    zero === undefined || isSmallFloat(dtype)
      ? undefined
      : b.cast(alignScales(b, realNumbers(b, zero), like, attrs), dtypeOf(ratio));
  const moved = shift === undefined ? rounded : b.add(rounded, shift);
  return b.and(b.greaterOrEqual(moved, least), b.lessOrEqual(moved, most));
}
