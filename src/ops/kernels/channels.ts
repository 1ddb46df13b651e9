/** Vectors with one element per channel (axis 1), as normalizations of images take them. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { rankOf } from "../facts.ts";
import type { NDArray } from "../ndarray.ts";
import { axesExcept } from "./reduction-axes.ts";

/** Gives a channel vector the axes that it needs to broadcast against an operand of the given rank. */
export function alongChannels(b: OpBuilder, vector: Value, rank: number): Value {
  return b.unsqueeze(
    vector,
    Array.from({ length: Math.max(0, rank - 2) }, (_, index) => index + 1),
  );
}

/** The same for an evaluated vector. */
export function channelArray(vector: NDArray, rank: number): NDArray {
  return vector.reshaped([vector.size, ...new Array<number>(Math.max(0, rank - 2)).fill(1)]);
}

/** Sums over everything but the channels; an operand of rank 1 is one channel. */
export function sumPerChannel(b: OpBuilder, value: Value): Value {
  const rank = rankOf(value);
  return b.reduceSum(value, axesExcept([1], rank), rank === 1);
}
