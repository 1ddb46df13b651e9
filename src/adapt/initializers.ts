/** How adapter tensors start: the initialisers of torch.nn.init that PEFT's methods use, drawn from our own generator. */
import { countElements } from "../ir/shape.ts";

/** A stream of random numbers; `src/data/random.ts` gives one that is seeded and the same on every machine. */
export interface RandomStream {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Standard normal. */
  normal(): number;
}

/** Fills a tensor of the given shape, row-major. */
export type Initializer = (shape: readonly number[], random: RandomStream) => Float32Array<ArrayBuffer>;

/** A constant. */
export function filled(value: number): Initializer {
  return (shape) => new Float32Array(countElements(shape)).fill(value);
}

/** Uniform between `-bound` and `bound`. */
export function uniform(bound: number): Initializer {
  return (shape, random) =>
    Float32Array.from({ length: countElements(shape) }, () => (2 * random.uniform() - 1) * bound);
}

/** Normal with mean 0 and the given standard deviation. */
export function normal(deviation: number): Initializer {
  return (shape, random) =>
    Float32Array.from({ length: countElements(shape) }, () => random.normal() * deviation);
}

/**
 * Kaiming uniform with a = sqrt(5), PyTorch's default for Linear and Conv weights: uniform within 1 / sqrt(fan_in)
 * (He et al. 2015, arXiv:1502.01852, with the gain of a leaky ReLU).
 */
export function kaimingUniform(fanIn?: number): Initializer {
  return (shape, random) => {
    const fan = fanIn ?? countElements(shape.slice(1));
    return uniform(fan > 0 ? 1 / Math.sqrt(fan) : 0)(shape, random);
  };
}

/** A number that depends on `seed` and every character of `key`, for streams that do not depend on order (FNV-1a). */
export function seedFor(seed: number, key: string): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (const byte of new TextEncoder().encode(key)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
