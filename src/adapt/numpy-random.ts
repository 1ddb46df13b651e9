/** Random draws exactly as NumPy's generators make them, for places that checkpoints do not hold. */
import { TorchGenerator } from "./torch-random.ts";

const word = 0xffff_ffff;
const long = (1n << 64n) - 1n;
const wide = (1n << 128n) - 1n;
const multiplier = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645n;

/** `RandomState(seed).choice(length, size=count, replace=False, p=1/length)`. */
export function legacyChoice(seed: number, length: number, count: number): number[] {
  // Both libraries seed the same generator in the same way.
  const generator = new TorchGenerator(seed);
  const uniform = (): number => ((generator.next() >>> 5) * 2 ** 26 + (generator.next() >>> 6)) / 2 ** 53;
  const chosen: number[] = [];
  while (chosen.length < Math.min(count, length)) {
    const left = Array.from({ length }, (_, i) => i).filter((i) => !chosen.includes(i));
    const drawn = Array.from({ length: count - chosen.length }, uniform).map(
      (u) => left[Math.floor(u * left.length)] ?? 0,
    );
    chosen.push(...new Set(drawn));
  }
  return chosen;
}

/** `default_rng(seed)`: PCG64 (O'Neill 2014, XSL-RR 128/64), seeded through NumPy's SeedSequence. */
export class NumpyGenerator {
  #state: bigint;
  readonly #increment: bigint;
  /** The upper half of a draw of 64 bits whose lower half was taken. */
  #rest: number | undefined;

  constructor(seed: number) {
    const [high = 0n, low = 0n, incrementHigh = 0n, incrementLow = 0n] = seedWords(seed);
    this.#increment = ((((incrementHigh << 64n) | incrementLow) << 1n) | 1n) & wide;
    this.#state = (this.#increment + ((high << 64n) | low)) & wide;
    this.#step();
  }

  #step(): void {
    this.#state = (this.#state * multiplier + this.#increment) & wide;
  }

  /** 32 uniform bits. */
  #next(): number {
    if (this.#rest !== undefined) {
      const rest = this.#rest;
      this.#rest = undefined;
      return rest;
    }
    this.#step();
    const mixed = ((this.#state >> 64n) ^ this.#state) & long;
    const turn = this.#state >> 122n;
    const bits = ((mixed >> turn) | (mixed << (64n - turn))) & long;
    this.#rest = Number(bits >> 32n);
    return Number(bits & 0xffff_ffffn);
  }

  /** A whole number from 0 to `most`, below 2^32 - 1, without bias (Lemire 2019). */
  below(most: number): number {
    if (most === 0) return 0;
    const count = most + 1;
    const threshold = (word - most) % count;
    for (;;) {
      const product = BigInt(this.#next()) * BigInt(count);
      if (Number(product & 0xffff_ffffn) >= threshold) return Number(product >> 32n);
    }
  }

  /** The same by drawing as many bits as it needs until they are not above it, which NumPy does elsewhere. */
  #masked(most: number): number {
    const mask = 2 ** (32 - Math.clz32(most)) - 1;
    for (;;) {
      const value = (this.#next() & mask) >>> 0;
      if (value <= most) return value;
    }
  }

  /** `shuffle`, in place. */
  shuffle(values: Int32Array): void {
    for (let i = values.length - 1; i >= 1; i--) swap(values, i, this.#masked(i));
  }

  /** What `choice` does in place of `shuffle`: only the elements from `first` on. */
  #shuffleChosen(values: Int32Array, first: number): void {
    for (let i = values.length - 1; i >= first; i--) swap(values, i, this.below(i));
  }

  /** `choice(length, size=count, replace=False)`. */
  choose(length: number, count: number): Int32Array {
    if (length > 10_000 && count > Math.floor(length / 50)) {
      const all = Int32Array.from({ length }, (_, i) => i);
      this.#shuffleChosen(all, Math.max(length - count, 1));
      return all.slice(length - count);
    }
    // Floyd's algorithm, whose result NumPy shuffles.
    const taken = new Set<number>();
    const chosen = Int32Array.from({ length: count }, (_, i) => {
      const last = length - count + i;
      const drawn = this.below(last);
      const value = taken.has(drawn) ? last : drawn;
      taken.add(value);
      return value;
    });
    this.#shuffleChosen(chosen, 1);
    return chosen;
  }
}

function swap(values: Int32Array, i: number, j: number): void {
  const kept = values[i] ?? 0;
  values[i] = values[j] ?? 0;
  values[j] = kept;
}

/** The four words of 64 bits that SeedSequence makes of a seed (O'Neill 2015, "Developing a seed_seq alternative"). */
function seedWords(seed: number): bigint[] {
  const entropy = [seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0];
  let hash = 0x43b0_d7e5;
  const hashed = (value: number): number => {
    const before = value ^ hash;
    hash = Math.imul(hash, 0x931e_8875);
    const after = Math.imul(before, hash);
    return after ^ (after >>> 16);
  };
  const mixed = (x: number, y: number): number => {
    const result = Math.imul(0xca01_f9dd, x) - Math.imul(0x4973_f715, y);
    return result ^ ((result >>> 0) >>> 16);
  };
  const pool = [0, 1, 2, 3].map((i) => hashed(entropy[i] ?? 0));
  for (let from = 0; from < 4; from++) {
    for (let to = 0; to < 4; to++) {
      if (from !== to) pool[to] = mixed(pool[to] ?? 0, hashed(pool[from] ?? 0));
    }
  }
  let next = 0x8b51_f9dd;
  const words = Array.from({ length: 8 }, (_, i) => {
    const before = (pool[i % 4] ?? 0) ^ next;
    next = Math.imul(next, 0x58f3_8ded);
    const after = Math.imul(before, next);
    return (after ^ (after >>> 16)) >>> 0;
  });
  return [0, 2, 4, 6].map((i) => BigInt(words[i] ?? 0) | (BigInt(words[i + 1] ?? 0) << 32n));
}
