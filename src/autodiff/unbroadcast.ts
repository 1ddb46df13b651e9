/** Sums a gradient over the axes along which its operand was broadcast. */
import { dimsEqual } from "../ir/dim.ts";
import type { Shape } from "../ir/shape.ts";
import type { Value } from "../ir/value.ts";
import type { OpBuilder } from "../ops/builder.ts";

/**
 * Brings `gradient` to the shape of `operand`, which was broadcast to the gradient's shape. Where shapes say which
 * axes were stretched, one ReduceSum does it; where two symbols may or may not be equal, the axes are found at run time.
 */
export function unbroadcast(b: OpBuilder, gradient: Value, operand: Value): Value {
  const from = gradient.tensorType?.shape;
  const to = operand.tensorType?.shape;
  if (from === undefined || to === undefined) return sumAtRunTime(b, gradient, operand);
  const stretched = stretchedAxes(from, to);
  if (stretched === undefined) return sumAtRunTime(b, gradient, operand);
  const extra = from.length - to.length;
  const leading = Array.from({ length: extra }, (_, axis) => axis);
  if (stretched.length === extra) return b.reduceSum(gradient, leading, false);
  return b.squeeze(b.reduceSum(gradient, stretched, true), leading);
}

/** Axes of `from` to sum over; undefined where that depends on sizes known at run time only. */
function stretchedAxes(from: Shape, to: Shape): number[] | undefined {
  const extra = from.length - to.length;
  const axes: number[] = [];
  for (let axis = 0; axis < from.length; axis++) {
    const [wide, narrow] = [from[axis], to[axis - extra]];
    if (narrow === undefined) axes.push(axis);
    else if (wide === undefined || dimsEqual(wide, narrow)) continue;
    else if (narrow === 1) axes.push(axis);
    else if (wide !== 1) return undefined;
  }
  return axes;
}

/** Compares both shapes at run time: sums where they differ, then takes the operand's own shape. */
function sumAtRunTime(b: OpBuilder, gradient: Value, operand: Value): Value {
  const wanted = b.shape(operand);
  const actual = b.shape(gradient);
  const missing = b.sub(b.op("Size", [actual]), b.op("Size", [wanted]));
  const ones = b.expand(b.int(1), b.unsqueeze(missing, [0]));
  const padded = b.concat([ones, wanted], 0);
  const differs = b.not(b.equal(padded, actual));
  const axes = b.reshape(b.op("NonZero", [differs]), [-1]);
  const summed = b.op("ReduceSum", [gradient, axes], { keepdims: 1, noop_with_empty_axes: 1 });
  return b.reshape(summed, wanted);
}
