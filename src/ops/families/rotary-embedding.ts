/** RotaryEmbedding: pairs of channels turned by an angle that depends on the position. */
import type { Value } from "../../ir/value.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { fromNumbers } from "../ndarray.ts";
import { int } from "../params.ts";

/** Slice bound beyond every axis. */
const end = 2 ** 31 - 1;

export const RotaryEmbedding = defineOp({
  type: "RotaryEmbedding",
  versions: [23],
  inputs: ["x", "cosines", "sines", "positions?"],
  outputs: ["y"],
  attributes: { num_heads: int(0), rotary_embedding_dim: int(0), interleaved: int(0) },
  infer: ({ in: { x } }) => [x.type],
  evaluate: ({ in: { x, cosines, sines, positions }, attrs, exact }) => {
    const [batches = 1, second = 1, third = 1, fourth = 1] = x.shape;
    const flat = x.rank === 3;
    const [heads, steps] = flat ? [attrs.num_heads, second] : [second, third];
    const size = flat ? third / heads : fourth;
    const turned = attrs.rotary_embedding_dim === 0 ? size : attrs.rotary_embedding_dim;
    const half = turned / 2;
    const rows = positions?.toNumbers();
    const result = Float64Array.from(x.numbers);
    for (let batch = 0; batch < batches; batch++) {
      for (let step = 0; step < steps; step++) {
        const row = rows?.[batch * steps + step] ?? batch * steps + step;
        for (let head = 0; head < heads; head++) {
          const place = flat ? (batch * steps + step) * heads + head : (batch * heads + head) * steps + step;
          for (let pair = 0; pair < half; pair++) {
            const [first, other] = attrs.interleaved === 1 ? [2 * pair, 2 * pair + 1] : [pair, pair + half];
            const left = x.numbers[place * size + first] ?? 0;
            const right = x.numbers[place * size + other] ?? 0;
            const cosine = cosines.numbers[row * half + pair] ?? 0;
            const sine = sines.numbers[row * half + pair] ?? 0;
            result[place * size + first] = cosine * left - sine * right;
            result[place * size + other] = sine * left + cosine * right;
          }
        }
      }
    }
    return [fromNumbers(x.dtype, x.shape, result, exact)];
  },
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, cosines, sines, positions }, attrs, b }) => {
      const flat = rankOf(x) === 3;
      const heads = flat ? b.reshape(x, [0, 0, attrs.num_heads, -1]) : x;
      // The tables get an axis of one head.
      const table = (values: Value): Value =>
        b.unsqueeze(positions === undefined ? values : b.gather(values, positions), [flat ? 2 : 1]);
      const [cosine, sine] = [table(cosines), table(sines)];
      const size = attrs.rotary_embedding_dim;
      const part = (starts: number, ends: number): Value =>
        b.slice(heads, { starts: [starts], ends: [ends], axes: [3] });
      const turned = size === 0 ? heads : part(0, size);
      const every = (start: number): Value =>
        b.op("Slice", [turned, b.ints([start]), b.ints([end]), b.ints([3]), b.ints([2])]);
      const halves =
        attrs.interleaved === 1
          ? [every(0), every(1)]
          : b.ops("Split", [turned], { axis: 3, num_outputs: 2 }, 2);
      const [left = turned, right = turned] = halves;
      const pairs = [
        b.sub(b.mul(cosine, left), b.mul(sine, right)),
        b.add(b.mul(sine, left), b.mul(cosine, right)),
      ];
      const together =
        attrs.interleaved === 1
          ? b.reshape(
              b.concat(
                pairs.map((half) => b.unsqueeze(half, [4])),
                4,
              ),
              [0, 0, 0, -1],
            )
          : b.concat(pairs, 3);
      const whole = size === 0 ? together : b.concat([together, part(size, end)], 3);
      return [b.reshape(whole, b.shape(x))];
    },
  },
});
