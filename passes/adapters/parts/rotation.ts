/** Rotations in blocks: skew matrices from vectors, their Cayley transforms, and what they turn. */
import { float32Tensor } from "../../../src/ir/constant.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import { identity, inverseOf } from "./inverse.ts";

/** Elements above the diagonal of a square matrix. */
export function aboveDiagonal(size: number): number {
  return (size * (size - 1)) / 2;
}

/** Skew matrices (count, size, size) from what stands above their diagonals, row by row: (count, size (size - 1) / 2). */
export function skewOf(vectors: Value, count: number, size: number, b: OpBuilder): Value {
  // One element in front stands for the diagonal.
  const padded = b.concat([b.expand(b.scalar(0, "float32"), b.ints([count, 1])), vectors], 1);
  const places: number[] = [];
  const signs: number[] = [];
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const [low, high] = row < column ? [row, column] : [column, row];
      places.push(row === column ? 0 : 1 + low * size - (low * (low + 1)) / 2 + high - low - 1);
      signs.push(Math.sign(column - row));
    }
  }
  const square = b.reshape(b.gather(padded, b.ints(places), 1), [count, size, size]);
  return b.mul(square, b.constant(float32Tensor(signs, [size, size]), "signs"));
}

/** (I - Q) (I + Q)^-1, a rotation for every skew Q (count, size, size). */
export function cayley(skew: Value, count: number, size: number, b: OpBuilder): Value {
  const one = identity(size, b);
  return b.matmul(b.sub(one, skew), inverseOf(b.add(one, skew), count, size, b));
}

/**
 * The start of the series of (I + Q) (I - Q)^-1, which is {@link cayley} of -Q: I + 2 Q + 2 Q^2 + ... As in PEFT the last of
 * `terms` terms is not doubled, where there are more than two, and Q^3 always is among these.
 */
export function cayleySeries(skew: Value, size: number, terms: number, b: OpBuilder): Value {
  let sum = b.add(identity(size, b), b.mul(skew, 2));
  if (terms <= 2) return sum;
  const last = Math.max(3, terms - 1);
  let power = skew;
  for (let exponent = 2; exponent <= last; exponent++) {
    power = b.matmul(power, skew);
    sum = b.add(sum, exponent === last ? power : b.mul(power, 2));
  }
  return sum;
}

/** The last axis of `x` in blocks of `size`, each times its own matrix: (count, size, size), or (1, size, size) for all. */
export function turnBlocks(x: Value, matrices: Value, count: number, size: number, b: OpBuilder): Value {
  const blocks = b.transpose(b.reshape(x, [-1, count, size]), [1, 0, 2]);
  return b.reshape(b.transpose(b.matmul(blocks, matrices), [1, 0, 2]), b.shape(x));
}
