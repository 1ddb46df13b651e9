/** The tolerances of the oracle set's README, and a comparison that names the worst element. */
import type { NDArray } from "../../src/ops/ndarray.ts";

export interface Tolerance {
  readonly absolute: number;
  readonly relative: number;
}

/** By quantity, none wider than the set says. */
export const tolerances = {
  /** Logits, loss, merged weights. */
  exact: { absolute: 1e-5, relative: 1e-5 },
  gradient: { absolute: 1e-5, relative: 1e-4 },
  /** Training losses and gradient norms. */
  training: { absolute: 1e-4, relative: 1e-4 },
  trained: { absolute: 1e-4, relative: 0 },
  /** Trajectories in bfloat16 and float16. */
  low: { absolute: 2e-2, relative: 0 },
} as const satisfies Record<string, Tolerance>;

/** Throws unless shapes are equal and every element is close. */
export function expectClose(
  what: string,
  actual: NDArray | undefined,
  expected: NDArray | undefined,
  tolerance: Tolerance,
): void {
  if (actual === undefined || expected === undefined) {
    throw new Error(`${what}: ${actual === undefined ? "we have none" : "the set has none"}`);
  }
  if (actual.shape.join() !== expected.shape.join()) {
    throw new Error(`${what}: shape [${actual.shape}], expected [${expected.shape}]`);
  }
  const [got, wanted] = [actual.numbers, expected.numbers];
  let worst = -1;
  let excess = 0;
  wanted.forEach((value, i) => {
    const distance = Math.abs((got[i] ?? Number.NaN) - value);
    const over = distance - (tolerance.absolute + tolerance.relative * Math.abs(value));
    if (!(over <= excess)) {
      excess = over;
      worst = i;
    }
  });
  if (worst >= 0) throw new Error(`${what}: element ${worst} is ${got[worst]}, expected ${wanted[worst]}`);
}
