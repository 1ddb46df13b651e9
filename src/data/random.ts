/** A seeded generator of random numbers that gives the same stream on every machine and can be saved and resumed. */
import { naturalLog, pointOnCircle } from "./exact-math.ts";

/** State of a {@link Random}: four 32-bit words, and the spare normal number if there is one. */
export interface RandomState {
  readonly words: readonly [number, number, number, number];
  readonly spare: number | null;
}

/** xoshiro128** (Blackman and Vigna 2018, arXiv:1805.01407), its state filled from the seed by SplitMix32. */
export class Random {
  readonly #words: Uint32Array;
  #spare: number | null = null;

  /**
   * @param seed A whole number, of which the low 32 bits count.
   * @param stream Gives another sequence for the same seed, such as one for each epoch.
   */
  constructor(seed: number, stream = 0) {
    let state = (seed + mix(stream)) >>> 0;
    this.#words = Uint32Array.from({ length: 4 }, () => {
      state = (state + 0x9e3779b9) >>> 0;
      return mix(state);
    });
  }

  /** 32 random bits. */
  bits(): number {
    const [a = 0, b = 0, c = 0, d = 0] = this.#words;
    const scrambled = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const third = c ^ a;
    const fourth = d ^ b;
    this.#words[1] = b ^ third;
    this.#words[0] = a ^ fourth;
    this.#words[2] = third ^ (b << 9);
    this.#words[3] = rotate(fourth, 11);
    return scrambled;
  }

  /** Uniform in [0, 1), with 24 bits: exact in float32. */
  uniform(): number {
    return (this.bits() >>> 8) / 2 ** 24;
  }

  /** Standard normal, by the Box-Muller transform in float64; the two numbers of a pair come one after the other. */
  normal(): number {
    if (this.#spare !== null) {
      const spare = this.#spare;
      this.#spare = null;
      return spare;
    }
    const radius = Math.sqrt(-2 * naturalLog(1 - this.uniform()));
    const [cosine, sine] = pointOnCircle(this.uniform());
    this.#spare = radius * sine;
    return radius * cosine;
  }

  /** A whole number in [0, limit), limit at most 2^32. */
  below(limit: number): number {
    return Math.floor((this.bits() / 2 ** 32) * limit);
  }

  /** The numbers 0 to count - 1 in random order (Fisher-Yates). */
  permutation(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
    }
    return order;
  }

  state(): RandomState {
    const [a = 0, b = 0, c = 0, d = 0] = this.#words;
    return { words: [a, b, c, d], spare: this.#spare };
  }

  /** Goes on from a saved state. */
  restore(state: RandomState): void {
    this.#words.set(state.words);
    this.#spare = state.spare;
  }
}

/** The output function of SplitMix32; 0 stays 0. */
function mix(word: number): number {
  let mixed = word;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}
