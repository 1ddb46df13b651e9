/** Random draws exactly as a seeded `torch.Generator` on the CPU makes them, for indices that checkpoints do not hold. */
import { roundToBfloat16 } from "../formats/half.ts";

const size = 624;
const shift = 397;

/** MT19937 (Matsumoto and Nishimura 1998), seeded by one 32-bit number as PyTorch does. */
export class TorchGenerator {
  readonly #state = new Uint32Array(size);
  #at = size;

  constructor(seed: number) {
    this.#state[0] = seed >>> 0;
    for (let i = 1; i < size; i++) {
      const before = this.#word(i - 1);
      this.#state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
  }

  #word(index: number): number {
    return this.#state[index % size] ?? 0;
  }

  /** 32 uniform bits. */
  next(): number {
    if (this.#at === size) this.#refill();
    let y = this.#word(this.#at++);
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    y ^= y >>> 18;
    return y >>> 0;
  }

  #refill(): void {
    for (let i = 0; i < size; i++) {
      const y = (this.#word(i) & 0x80000000) | (this.#word(i + 1) & 0x7fffffff);
      this.#state[i] = this.#word(i + shift) ^ (y >>> 1) ^ ((y & 1) * 0x9908b0df);
    }
    this.#at = 0;
  }

  /** `torch.rand` in float32: uniform in [0, 1). */
  uniform(): number {
    return (this.next() & 0xffffff) / 2 ** 24;
  }
}

/** Largest length that PyTorch permutes with 32-bit draws. */
const narrow = Math.floor(2 ** 32 / 20);

/** First `count` elements of `torch.randperm(length)`; only those are drawn and kept. */
export function randomPermutation(generator: TorchGenerator, length: number, count: number): number[] {
  // Elements that are no longer at their own place.
  const moved = new Map<number, number>();
  const result: number[] = [];
  for (let i = 0; i < Math.min(length, count); i++) {
    const left = length - i;
    // The last element is where it is without a draw.
    const step = left === 1 ? 0 : drawBelow(generator, left, length < narrow);
    const here = moved.get(i) ?? i;
    result.push(moved.get(i + step) ?? i + step);
    moved.set(i + step, here);
  }
  return result;
}

function drawBelow(generator: TorchGenerator, bound: number, is32: boolean): number {
  if (is32) return generator.next() % bound;
  const bits = (BigInt(generator.next()) << 32n) | BigInt(generator.next());
  return Number(bits % BigInt(bound));
}

/** `tensor.uniform_(-bound, bound)` in float32: what PyTorch's uniform initialisers draw. */
export function drawUniform(
  generator: TorchGenerator,
  count: number,
  bound: number,
): Float32Array<ArrayBuffer> {
  const [from, to] = [Math.fround(-bound), Math.fround(bound)];
  const width = Math.fround(to - from);
  return Float32Array.from({ length: count }, () => Math.fround(generator.uniform() * width) + from);
}

/** The same of a bfloat16 tensor: drawn in float32 and rounded, where what is rounded to the upper bound becomes the lower one. */
export function drawUniformBfloat16(
  generator: TorchGenerator,
  count: number,
  bound: number,
): Float32Array<ArrayBuffer> {
  const end = roundToBfloat16(bound);
  return drawUniform(generator, count, bound).map((value) => {
    const rounded = roundToBfloat16(value);
    return rounded === end ? -end : rounded;
  });
}

/**
 * `torch.normal` with mean 0 in float32, of at least 16 elements: pairs of uniform numbers eight apart make two normal ones
 * each (Box and Muller 1958); a rest of fewer than 16 is drawn anew with those before it.
 */
export function drawNormal(
  generator: TorchGenerator,
  count: number,
  deviation: number,
): Float32Array<ArrayBuffer> {
  const values = Float32Array.from({ length: count }, () => generator.uniform());
  const convert = (start: number): void => {
    for (let i = start; i < start + 8; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - (values[i] ?? 0)));
      const angle = 2 * Math.PI * (values[i + 8] ?? 0);
      values[i] = radius * Math.cos(angle) * deviation;
      values[i + 8] = radius * Math.sin(angle) * deviation;
    }
  };
  for (let start = 0; start + 16 <= count; start += 16) convert(start);
  if (count % 16 !== 0) {
    for (let i = count - 16; i < count; i++) values[i] = generator.uniform();
    convert(count - 16);
  }
  return values;
}
