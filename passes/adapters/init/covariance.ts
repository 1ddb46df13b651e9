/** CorDA: A and B start with parts of the weight, as large as what the module reads makes them. */
import type { Gathered } from "../../../src/adapt/data-start.ts";
import { product } from "../parts/dense.ts";
import { singularParts, smallestParts } from "../parts/svd.ts";

/** Part of the mean variance that is added to each, so that the covariance can be divided by. */
const damping = 0.01;

/** Sums X^T X over examples, each over its largest element, as PEFT scales them; padding does not count. */
export class Covariance {
  readonly columns: number;
  readonly sum: Float64Array;
  examples = 0;

  constructor(columns: number) {
    this.columns = columns;
    this.sum = new Float64Array(columns * columns);
  }

  add({ values, columns, rowsPerExample, counts }: Gathered): void {
    const rows = values.length / columns;
    for (let start = 0; start < rows; start += rowsPerExample) {
      const own = Array.from({ length: rowsPerExample }, (_, i) => start + i).filter(
        (row) => counts?.[row] ?? true,
      );
      const largest = own.reduce(
        (most, row) =>
          values.subarray(row * columns, (row + 1) * columns).reduce((a, v) => Math.max(a, v), most),
        Number.NEGATIVE_INFINITY,
      );
      if (own.length === 0 || largest === 0) continue;
      this.examples += 1;
      for (const row of own)
        this.#addRow(values.subarray(row * columns, (row + 1) * columns), 1 / largest ** 2);
    }
  }

  #addRow(row: Float32Array, weight: number): void {
    const { columns, sum } = this;
    for (let i = 0; i < columns; i++) {
      const factor = (row[i] ?? 0) * weight;
      for (let k = 0; k < columns; k++)
        sum[i * columns + k] = (sum[i * columns + k] ?? 0) + factor * (row[k] ?? 0);
    }
  }

  /** The mean over examples, with damping. */
  damped(): Float64Array {
    const { columns, sum, examples } = this;
    const result = sum.map((value) => value / examples);
    let trace = 0;
    for (let i = 0; i < columns; i++) trace += result[i * columns + i] ?? 0;
    for (let i = 0; i < columns; i++)
      result[i * columns + i] = (result[i * columns + i] ?? 0) + (damping * trace) / columns;
    return result;
  }
}

/**
 * A = sqrt(S/s) V^T C^-1 and B = U sqrt(S/s) of W C = U S V^T, for the largest or smallest S (Yang et al. 2024, section 3.2).
 * V^T C^-1 is S^-1 U^T W, so that no inverse is needed.
 */
export function orientedFactors(
  weight: Float32Array,
  [rows, columns]: readonly [number, number],
  covariance: Float64Array,
  { r, scaling, largest }: { readonly r: number; readonly scaling: number; readonly largest: boolean },
): { A: Float32Array<ArrayBuffer>; B: Float32Array<ArrayBuffer> } {
  const oriented = product(weight, rows, covariance, columns, columns);
  const { left, values } = (largest ? singularParts : smallestParts)(oriented, rows, columns, r);
  const root = Float64Array.from(values, (value) => Math.sqrt(value / scaling));
  const A = new Float32Array(r * columns);
  for (let i = 0; i < r; i++) {
    const value = values[i] ?? 0;
    for (let row = 0; row < rows && value > 0; row++) {
      const factor = ((left[row * r + i] ?? 0) * (root[i] ?? 0)) / value;
      for (let k = 0; k < columns; k++)
        A[i * columns + k] = (A[i * columns + k] ?? 0) + factor * (weight[row * columns + k] ?? 0);
    }
  }
  return { A, B: Float32Array.from(left, (value, at) => value * (root[at % r] ?? 0)) };
}
