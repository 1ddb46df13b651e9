/** RotaryEmbedding: pairs of channels turned by an angle that depends on the position. */
import type { Value } from "../../ir/value.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { partsOfFirstAxis } from "../kernels/parts.ts";
import { rotatePairs } from "../kernels/rotary.ts";
import { fromNumbers } from "../ndarray.ts";
import { amounts, int } from "../params.ts";

export const RotaryEmbedding = defineOp({
  type: "RotaryEmbedding",
  versions: [23],
  inputs: ["x", "cosines", "sines", "positions?"],
  ranks: { x: [3, 4], cosines: [2, 3], sines: [2, 3], positions: 2 },
  outputs: ["y"],
  attributes: { num_heads: int(0, amounts), rotary_embedding_dim: int(0, amounts), interleaved: int(0) },
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
  parts: partsOfFirstAxis,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, cosines, sines, positions }, attrs, b }) => {
      const flat = rankOf(x) === 3;
      const heads = flat ? b.reshape(x, [0, 0, attrs.num_heads, -1]) : x;
      // The tables get an axis of one head.
      const table = (values: Value): Value =>
        b.unsqueeze(positions === undefined ? values : b.gather(values, positions), [flat ? 2 : 1]);
      const whole = rotatePairs(
        b,
        heads,
        { cosine: table(cosines), sine: table(sines) },
        { interleaved: attrs.interleaved === 1, size: attrs.rotary_embedding_dim },
      );
      return [b.reshape(whole, b.shape(x))];
    },
  },
});
