/** Comparison of arrays within a tolerance, with messages that show the worst element. */
import type { NDArray } from "../../src/ops/ndarray.ts";
import type { Tolerance } from "./tolerance.ts";

/** Whether two numbers agree; NaN agrees with NaN and infinities with themselves, and with nothing else. */
export function agrees(actual: number, expected: number, { absolute, relative }: Tolerance): boolean {
  if (Object.is(actual, expected) || actual === expected) return true;
  if (!Number.isFinite(expected)) return false;
  return Math.abs(actual - expected) <= absolute + relative * Math.abs(expected);
}

/** What is wrong with `actual`, undefined where nothing is. */
export function difference(actual: NDArray, expected: NDArray, tolerance: Tolerance): string | undefined {
  if (actual.dtype !== expected.dtype) return `type ${actual.dtype}, expected ${expected.dtype}`;
  if (actual.shape.join() !== expected.shape.join()) {
    return `shape [${actual.shape}], expected [${expected.shape}]`;
  }
  const bad: string[] = [];
  expected.data.forEach((wanted, index) => {
    const got = actual.data[index];
    const same =
      typeof wanted === "number" && typeof got === "number" ? agrees(got, wanted, tolerance) : got === wanted;
    if (!same) bad.push(`[${index}] ${got}, expected ${wanted}`);
  });
  return bad.length === 0
    ? undefined
    : `${bad.length} of ${expected.size} elements: ${bad.slice(0, 4).join("; ")}`;
}
