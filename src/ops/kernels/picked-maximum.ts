/** The gradient of a maximum over elements of an image that are named one by one. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf } from "../facts.ts";
import { scatterAlong, zerosShapedAs } from "./positions.ts";
import { asRows } from "./row-scatter.ts";
import { productOf, reshapeLike, sizeAt, sizesOf, stateShape } from "./shape-vector.ts";

/** What each maximum is taken from. All three have the shape `[R, P, K]`. */
export interface Candidates {
  /** Row-major positions in the image, int64. */
  readonly at: Value;
  /** Factors of the elements before they are compared. */
  readonly weight: Value;
  /** bool: those that count. Where none does, the result is 0. */
  readonly counts: Value;
}

/**
 * The gradient of `x [N, C, H, W]` from that of maxima `g [R, C, ...]` of P elements each, which goes to the first
 * winner of every channel.
 *
 * @param images int64 `[R]`, the sample that each group of maxima is taken from.
 */
export function pickedMaximumGradient(
  b: OpBuilder,
  x: Value,
  g: Value,
  images: Value,
  from: Candidates,
): Value {
  const channelsLast = b.transpose(x, [0, 2, 3, 1]);
  const channels = sizeAt(x, 1);
  const count = productOf(sizesOf(channelsLast, 0, 3));
  const area = b.mul(b.dim(x, 2), b.dim(x, 3));
  const rows = b.add(b.unsqueeze(b.mul(b.cast(images, "int64"), area), [1, 2]), from.at);
  const picked = b.gather(asRows(b, channelsLast, count, [channels]), rows);
  const weighted = b.mul(picked, b.unsqueeze(from.weight, [3]));
  const lowest = b.scalar(Number.NEGATIVE_INFINITY, dtypeOf(x));
  const counted = b.where(b.unsqueeze(from.counts, [3]), weighted, lowest);
  const winner = b.op("ArgMax", [counted], { axis: 2, keepdims: 0 });
  const along = (value: Value): Value => b.op("GatherElements", [value, winner], { axis: 2 });
  const factor = b.mul(from.weight, b.castLike(from.counts, from.weight));
  // [R, P, C]
  const gradients = b.transpose(b.reshape(g, [0, 0, -1]), [0, 2, 1]);
  const updates = asRows(b, b.mul(gradients, along(factor)), -1, [channels]);
  const indices = asRows(b, along(rows), -1, [channels]);
  const sums = scatterAlong(b, { updates, indices, axis: 0, repeated: true }, (dtype) =>
    asRows(b, zerosShapedAs(b, channelsLast, dtype), count, [channels]),
  );
  return stateShape(b.transpose(reshapeLike(b, sums, channelsLast), [0, 3, 1, 2]), x);
}
