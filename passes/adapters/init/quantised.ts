/** LoftQ: the weight becomes one of few values, and A and B start with the largest singular parts of what that loses. */
import { weightElements } from "../../../src/adapt/base-weight.ts";
import type { LinearSite } from "../../../src/analysis/sites.ts";
import { erf } from "../../../src/ops/kernels/erf.ts";
import { KeptByWeight } from "../parts/kept.ts";
import { singularParts } from "../parts/svd.ts";
import type { FactorStart } from "./start.ts";

/** Elements of a row-major weight that share their largest magnitude. */
const block = 64;

/** Probability up to which the table of levels reaches (Dettmers et al. 2023, QLoRA, appendix E). */
const reach = 0.967_708_3;

interface Split {
  readonly base: Float32Array<ArrayBuffer>;
  readonly A: Float32Array<ArrayBuffer>;
  readonly B: Float32Array<ArrayBuffer>;
}

const kept = new KeptByWeight<Split>();

/**
 * Q, A and B that make W near Q + s B A, by turns (Li et al. 2023, algorithm 1): Q is W - s B A in normal-float levels, and
 * s B A the `r` largest singular parts of W - Q.
 *
 * @param scaling the factor s before BA.
 */
export function quantisedStart(
  site: LinearSite,
  r: number,
  scaling: number,
  { bits, rounds }: { readonly bits: number; readonly rounds: number },
): FactorStart {
  const parts = kept.for(site, `loftq ${r} ${scaling} ${bits} ${rounds}`, () => {
    const { outFeatures: rows, inFeatures: columns } = site;
    const weight = weightElements(site);
    const levels = normalLevels(bits);
    let [rest, base, A, B] = [weight, weight, new Float32Array(0), new Float32Array(0)];
    for (let round = 0; round < rounds; round++) {
      base = nearestLevels(rest, levels);
      const lost = weight.map((value, at) => value - (base[at] ?? 0));
      const { left, values, right } = singularParts(lost, rows, columns, r);
      const root = Float64Array.from(values, (value) => Math.sqrt(value / scaling));
      A = Float32Array.from(right, (value, at) => value * (root[Math.floor(at / columns)] ?? 0));
      B = Float32Array.from(left, (value, at) => value * (root[at % r] ?? 0));
      if (round + 1 < rounds) rest = without(weight, { A, B }, { r, columns, scaling });
    }
    return { base, A, B };
  });
  return {
    A: () => parts().A,
    B: () => parts().B,
    trainsB: true,
    isTaken: false,
    base: () => parts().base,
  };
}

/** W - s B A. */
function without(
  weight: Float32Array,
  { A, B }: Pick<Split, "A" | "B">,
  { r, columns, scaling }: { readonly r: number; readonly columns: number; readonly scaling: number },
): Float32Array<ArrayBuffer> {
  return Float32Array.from(weight, (value, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    let sum = 0;
    for (let i = 0; i < r; i++) sum += (B[row * r + i] ?? 0) * (A[i * columns + column] ?? 0);
    return value - scaling * sum;
  });
}

/** The levels of normal float with so many bits, rising from -1 to 1: quantiles of the normal distribution, one more above 0. */
export function normalLevels(bits: number): Float64Array {
  const half = 2 ** (bits - 1);
  const quantiles = (count: number): number[] =>
    Array.from({ length: count }, (_, i) => normalQuantile(reach + ((0.5 - reach) * i) / count));
  const levels = [...quantiles(half), 0, ...quantiles(half - 1).map((value) => -value)].sort((x, y) => x - y);
  const largest = levels.at(-1) ?? 1;
  return Float64Array.from(levels, (value) => value / largest);
}

/** The number below which a standard normal one lies with probability `p`, by bisection. */
function normalQuantile(p: number): number {
  let [low, high] = [-10, 10];
  for (let round = 0; round < 80; round++) {
    const middle = (low + high) / 2;
    if ((1 + erf(middle / Math.SQRT2)) / 2 < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** Each element as the nearest level times the largest magnitude of its block, the lower of two that are as near. */
export function nearestLevels(weight: Float32Array, levels: Float64Array): Float32Array<ArrayBuffer> {
  const result = new Float32Array(weight.length);
  for (let start = 0; start < weight.length; start += block) {
    const own = weight.subarray(start, start + block);
    const largest = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    own.forEach((value, i) => {
      const part = largest === 0 ? 0 : value / largest;
      const level = levels.reduce((best, each) =>
        Math.abs(part - each) < Math.abs(part - best) ? each : best,
      );
      result[start + i] = largest === 0 ? 0 : level * largest;
    });
  }
  return result;
}
