/** What a check of the conformance suite is: a property that every method has on every site that it takes. */
import type { NDArray } from "../ops/ndarray.ts";
import type { Subject } from "./subject.ts";

/** One property. */
export interface Check {
  readonly name: string;
  /** `method` where one site says all. */
  readonly per: "method" | "site";
  /**
   * Throws where the property does not hold.
   *
   * @returns why the property does not apply to the method, where it does not.
   */
  readonly run: (subject: Subject) => Promise<string | undefined> | string | undefined;
}

/** A property that does not hold; the message says which, and by how much. */
export class ConformanceError extends Error {
  override readonly name = "ConformanceError";
}

/** Throws unless the condition holds. */
export function require(condition: boolean, what: string): asserts condition {
  if (!condition) throw new ConformanceError(what);
}

/** Norm of the difference of two arrays over the larger one's norm, or over 1e-3 where both are smaller. */
export function distance(a: NDArray, b: NDArray): number {
  if (a.shape.join() !== b.shape.join()) return Number.POSITIVE_INFINITY;
  const [left, right] = [a.numbers, b.numbers];
  const difference = norm(left.map((value, i) => value - (right[i] ?? Number.NaN)));
  return difference / Math.max(1e-3, norm(left), norm(right));
}

export function norm(vector: Float64Array): number {
  return Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
}
