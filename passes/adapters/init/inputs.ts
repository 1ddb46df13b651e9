/** EVA: A starts with the main directions of what a module reads, and ranks go where inputs vary most. */
import type { Gathered } from "../../../src/adapt/data-start.ts";
import { adaptErrors } from "../../../src/diagnostics/adapt.ts";
import { singularParts } from "../parts/svd.ts";

/** Rows of a batch that count, each of `columns` elements. */
export function countedRows({ values, columns, counts }: Gathered): Float64Array[] {
  const rows = Array.from({ length: values.length / columns }, (_, row) => row);
  return rows
    .filter((row) => counts?.[row] ?? true)
    .map((row) => Float64Array.from(values.subarray(row * columns, (row + 1) * columns)));
}

/** Principal components of rows that come in batches (Ross et al. 2008, as scikit-learn's IncrementalPCA has it). */
export class Components {
  /** (count, columns), by falling variance. */
  directions: readonly Float64Array[] = [];
  values: readonly number[] = [];
  /** Share of the variance of all elements that each component has. */
  shares: readonly number[] = [];
  /** Whether a component was turned by less than the threshold by the last batch. */
  settled: readonly boolean[] = [];
  #seen = 0;
  #mean: Float64Array = new Float64Array();
  /** Sum of squared distances from the mean, over all columns. */
  #spread = 0;
  readonly #count: number;
  readonly #threshold: number;

  constructor(count: number, threshold: number) {
    this.#count = count;
    this.#threshold = threshold;
  }

  /** Takes in rows; fewer than there are components say too little, and are left out. */
  add(rows: readonly Float64Array[]): void {
    const [first] = rows;
    if (first === undefined || rows.length < this.#count) return;
    const columns = first.length;
    const mean = meanOf(rows, columns);
    const centred = rows.map((row) => row.map((value, k) => value - (mean[k] ?? 0)));
    const inner = centred.reduce((sum, row) => sum + dot(row, row), 0);
    const total = this.#seen + rows.length;
    const stacked: Float64Array[] = [...centred];
    if (this.#seen === 0) {
      this.#mean = mean;
      this.#spread = inner;
    } else {
      const apart = this.#mean.map((value, k) => value - (mean[k] ?? 0));
      const factor = Math.sqrt((this.#seen / total) * rows.length);
      stacked.unshift(...this.directions.map((row, i) => row.map((value) => value * (this.values[i] ?? 0))));
      stacked.push(apart.map((value) => value * factor));
      this.#spread += inner + factor ** 2 * dot(apart, apart);
      const share = rows.length / total;
      this.#mean = this.#mean.map((value, k) => value + share * ((mean[k] ?? 0) - value));
    }
    this.#seen = total;
    const before = this.directions;
    const matrix = new Float64Array(stacked.length * columns);
    stacked.forEach((row, i) => {
      matrix.set(row, i * columns);
    });
    const { values, right } = singularParts(matrix, stacked.length, columns, this.#count);
    this.values = [...values];
    this.directions = this.values.map((_, i) => right.slice(i * columns, (i + 1) * columns));
    this.shares = this.values.map((value) => value ** 2 / this.#spread);
    this.settled = this.directions.map(
      (row, i) => Math.abs(dot(row, before[i] ?? row.map(() => 0))) >= this.#threshold,
    );
  }

  /** @throws DiagnosticError `E_START_DATA_SHORT` where no batch had as many rows as there are components. */
  requireSome(method: string, path: string): void {
    if (this.directions.length === 0)
      throw adaptErrors.E_START_DATA_SHORT(
        method,
        path,
        "fewer in every batch",
        `${this.#count} tokens in a batch`,
      );
  }
}

function meanOf(rows: readonly Float64Array[], columns: number): Float64Array {
  const sum = new Float64Array(columns);
  for (const row of rows)
    for (let k = 0; k < columns; k++) sum[k] = (sum[k] ?? 0) + (row[k] ?? 0) / rows.length;
  return sum;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
