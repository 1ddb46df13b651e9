/** DequantizeLinear as rules write it, with scales and zero points of whatever shapes operators have them in. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf, rankOf, shapeOf } from "../facts.ts";
import { realNumbers } from "./quantize-gradient.ts";

/** What whole numbers mean: `(x - zero) * scale`; 1 and 0 where they are left out. */
export interface Meaning {
  readonly scale?: Value | undefined;
  readonly zero?: Value | undefined;
  /** Axis that vectors of scales and zero points belong to; -2 and the like count from the end. */
  readonly axis?: number;
}

/**
 * The numbers that quantised ones stand for. The runtime computes them anew in each run: DequantizeLinear of a constant is what
 * it does not fold.
 */
export function dequantize(b: OpBuilder, x: Value, { scale, zero, axis = 0 }: Meaning): Value {
  const factor = scale ?? b.scalar(1, "float32");
  const place = { axis: axis < 0 ? axis + rankOf(x) : axis };
  if (zero === undefined) return b.op("DequantizeLinear", [x, factor], place);
  if (rankOf(zero) > 1) {
    const shifted = b.sub(realNumbers(b, x), realNumbers(b, zero));
    return scale === undefined ? shifted : b.mul(b.castLike(shifted, scale), scale);
  }
  const [one, another] = [isSingle(factor), isSingle(zero)];
  const [scales, zeros] =
    one === another
      ? [factor, zero]
      : one
        ? [b.expand(factor, b.shape(zero)), zero]
        : [factor, b.expand(zero, b.shape(factor))];
  return b.op("DequantizeLinear", [x, scales, zeros], place);
}

/** QuantizeLinear to the type of the zero point, or of `like` where there is none. */
export function quantize(
  b: OpBuilder,
  x: Value,
  { scale, zero, axis = 0 }: Meaning & { readonly scale: Value },
  like: Value,
): Value {
  const zeros = zero ?? b.scalar(0, dtypeOf(like));
  const place = { axis: axis < 0 ? axis + rankOf(x) : axis };
  return b.op("QuantizeLinear", [b.castLike(x, scale), scale, zeros], place);
}

function isSingle(value: Value): boolean {
  const shape = shapeOf(value);
  return shape.length === 0 || (shape.length === 1 && shape[0] === 1);
}
