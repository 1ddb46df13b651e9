/** Rotary positions written with standard operators: pairs of channels turned by the angle of their position. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";

/** How channels pair up, and how many of them turn. */
export interface RotaryOptions {
  /** Neighbours make a pair; otherwise a channel of the first half and its fellow of the second. */
  readonly interleaved: boolean;
  /** Channels that turn, from the first on; 0 for all. */
  readonly size: number;
}

/** Slice bound beyond every axis. */
const end = 2 ** 31 - 1;

/**
 * Turns the last axis of `x`, which has four axes (Su et al., "RoFormer", 2021, eq. 15).
 *
 * @param cosine,sine of half as many columns as channels turn; they broadcast to `x`.
 */
export function rotatePairs(
  b: OpBuilder,
  x: Value,
  { cosine, sine }: { readonly cosine: Value; readonly sine: Value },
  { interleaved, size }: RotaryOptions,
): Value {
  const part = (starts: number, ends: number): Value =>
    b.slice(x, { starts: [starts], ends: [ends], axes: [3] });
  const turned = size === 0 ? x : part(0, size);
  const every = (start: number): Value =>
    b.op("Slice", [turned, b.ints([start]), b.ints([end]), b.ints([3]), b.ints([2])]);
  const halves = interleaved
    ? [every(0), every(1)]
    : b.ops("Split", [turned], { axis: 3, num_outputs: 2 }, 2);
  const [left = turned, right = turned] = halves;
  const pairs = [
    b.sub(b.mul(cosine, left), b.mul(sine, right)),
    b.add(b.mul(sine, left), b.mul(cosine, right)),
  ];
  const together = interleaved ? weave(b, pairs) : b.concat(pairs, 3);
  return size === 0 ? together : b.concat([together, part(size, end)], 3);
}

/** Elements of both halves in turn. */
function weave(b: OpBuilder, halves: readonly Value[]): Value {
  const columns = halves.map((half) => b.unsqueeze(half, [4]));
  return b.reshape(b.concat(columns, 4), [0, 0, 0, -1]);
}
