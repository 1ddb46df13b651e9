/** What a singular value decomposition gives, and what is cut out of one. */
import { transposed } from "./dense.ts";

/** M = left diag(values) right, with values falling: (rows, count), (count), (count, columns), row-major. */
export interface SingularParts {
  readonly left: Float64Array;
  readonly values: Float64Array;
  readonly right: Float64Array;
}

/** Gives the parts of a matrix that has at least as many columns as rows. */
export type Decompose = (matrix: ArrayLike<number>, rows: number, columns: number) => SingularParts;

/** Decomposes a matrix, or its transpose where that is the one with no more rows than columns. */
export function ofWider(
  matrix: ArrayLike<number>,
  rows: number,
  columns: number,
  decompose: Decompose,
): SingularParts {
  if (rows <= columns) return decompose(matrix, rows, columns);
  const { left, values, right } = decompose(transposed(matrix, rows, columns), columns, rows);
  const count = values.length;
  return { left: transposed(right, count, rows), values, right: transposed(left, columns, count) };
}

/** Parts `from` to `from + count` of those of a matrix (rows, columns). */
export function someParts(
  { left, values, right }: SingularParts,
  [rows, columns]: readonly [number, number],
  from: number,
  count: number,
): SingularParts {
  const all = values.length;
  if (all === count) return { left, values, right };
  const own = new Float64Array(rows * count);
  for (let row = 0; row < rows; row++)
    own.set(left.subarray(row * all + from, row * all + from + count), row * count);
  return {
    left: own,
    values: values.slice(from, from + count),
    right: right.slice(from * columns, (from + count) * columns),
  };
}

/** The same with the signs that make the largest element of each left vector positive. */
export function signed({ left, values, right }: SingularParts, rows: number, columns: number): SingularParts {
  const count = values.length;
  for (let i = 0; i < count; i++) {
    let largest = 0;
    for (let row = 0; row < rows; row++) {
      const element = left[row * count + i] ?? 0;
      if (Math.abs(element) > Math.abs(largest)) largest = element;
    }
    if (largest >= 0) continue;
    for (let row = 0; row < rows; row++) left[row * count + i] = -(left[row * count + i] ?? 0);
    for (let k = 0; k < columns; k++) right[i * columns + k] = -(right[i * columns + k] ?? 0);
  }
  return { left, values, right };
}
