/** LRN: divides each element by a power of the energy in the channels around it. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { fromNumbers } from "../ndarray.ts";
import { counts, float, int } from "../params.ts";

export const LRN = defineOp({
  type: "LRN",
  versions: [1, 13],
  inputs: ["x"],
  ranks: { x: [2] },
  outputs: ["y"],
  attributes: { alpha: float(1e-4), beta: float(0.75), bias: float(1), size: int(1, counts) },
  infer: ({ in: { x } }) => [x.type],
  evaluate: ({ in: { x }, attrs: { alpha, beta, bias, size }, exact }) => {
    const [instances = 1, channels = 1] = x.shape;
    const inner = x.size / Math.max(1, instances * channels);
    const [below, above] = reachOf(size);
    const results = x.numbers.map((value, i) => {
      const channel = Math.floor(i / inner) % channels;
      const [first, last] = [Math.max(0, channel - below), Math.min(channels - 1, channel + above)];
      let energy = 0;
      for (let c = first; c <= last; c++) energy += (x.numbers[i + (c - channel) * inner] ?? 0) ** 2;
      return value / (bias + (alpha / size) * energy) ** beta;
    });
    return [fromNumbers(x.dtype, x.shape, results, exact)];
  },
  precision: "full",
  // With s = bias + alpha/size * (energy around): g s^-beta - 2 alpha beta/size x (sum of g y / s over the channels in
  // whose region x lies).
  gradient: ({ in: { x }, out: { y }, attrs: { alpha, beta, bias, size }, grad: { y: g }, b }) => ({
    x: () => {
      const energy = sumOverChannels(b, b.mul(x, x), size, false);
      const scale = b.add(b.mul(energy, alpha / size), bias);
      const around = sumOverChannels(b, b.div(b.mul(g, y), scale), size, true);
      return b.sub(b.mul(g, b.pow(scale, -beta)), b.mul(x, b.mul(around, (2 * alpha * beta) / size)));
    },
  }),
});

/** How many channels below and above belong to the region of a channel. */
function reachOf(size: number): readonly [number, number] {
  return [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
}

/** Sums over the region of each channel, or over those channels in whose region it lies: shifted copies, added. */
function sumOverChannels(b: OpBuilder, x: Value, size: number, mirrored: boolean): Value {
  if (size === 1) return x;
  const [below, above] = reachOf(size);
  const pads = new Array<number>(2 * rankOf(x)).fill(0);
  pads[1] = mirrored ? above : below;
  pads[rankOf(x) + 1] = mirrored ? below : above;
  const padded = b.op("Pad", [x, b.ints(pads)]);
  const shifted = Array.from({ length: size }, (_, start) => {
    const end = start === size - 1 ? Number.MAX_SAFE_INTEGER : start - size + 1;
    return b.slice(padded, { starts: [start], ends: [end], axes: [1] });
  });
  return shifted.reduce((sum, part) => b.add(sum, part));
}
