/**
 * Gradients of operators that pick elements: the pick is done again on positions, and gradients are put back
 * there.
 */
import { type DType, isLow } from "../../ir/dtype.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf, shapeOf } from "../facts.ts";
import { productOf, reshapeLike, shapeVector, sizesOf } from "./shape-vector.ts";

/** The position of each element of `x` in row-major order, as an int64 tensor of its shape. */
export function positionsOf(b: OpBuilder, x: Value): Value {
  const size = productOf(sizesOf(x));
  const count = size < 0 ? b.op("Size", [x]) : b.int(size);
  return reshapeLike(b, b.op("Range", [b.int(0), count, b.int(1)]), x);
}

/**
 * The gradient of `x` from that of elements taken out of it.
 *
 * @param positions where in `x` each element of `g` comes from; of the shape of `g`.
 * @param repeated whether a position may stand there more than once.
 */
export function putBack(b: OpBuilder, x: Value, g: Value, positions: Value, repeated: boolean): Value {
  const size = productOf(sizesOf(x));
  const flat = (value: Value): Value => (shapeOf(value).length === 1 ? value : b.reshape(value, [-1]));
  const length = size < 0 ? b.unsqueeze(b.op("Size", [x]), [0]) : b.ints([size]);
  const spread = scatterAlong(b, { updates: flat(g), indices: flat(positions), axis: 0, repeated }, (dtype) =>
    b.expand(b.scalar(0, dtype), length),
  );
  return reshapeLike(b, spread, x);
}

/**
 * ScatterElements of gradients into zeros. Sums are done in float32 where the type is shorter: the CPU kernel
 * refuses 16-bit sums, and they would lose what few bits there are. ScatterND with a reduction is never used,
 * since its CPU kernel races where indices repeat.
 */
export function scatterAlong(
  b: OpBuilder,
  options: {
    readonly updates: Value;
    readonly indices: Value;
    readonly axis: number;
    readonly repeated: boolean;
  },
  zeros: (dtype: DType) => Value,
): Value {
  const { updates, indices, axis, repeated } = options;
  const dtype = dtypeOf(updates);
  if (!repeated) return b.op("ScatterElements", [zeros(dtype), indices, updates], { axis });
  const wide = isLow(dtype) ? "float32" : dtype;
  const attributes = { axis, reduction: "add" };
  return b.cast(b.op("ScatterElements", [zeros(wide), indices, b.cast(updates, wide)], attributes), dtype);
}

/** Zeros of the shape of `x`, of another type. */
export function zerosShapedAs(b: OpBuilder, x: Value, dtype: DType): Value {
  return b.expand(b.scalar(0, dtype), shapeVector(b, sizesOf(x)));
}
