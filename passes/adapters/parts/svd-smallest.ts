/** The smallest singular parts of a frozen weight, and the largest by a random search. */
import { type SingularParts, singularParts } from "./svd.ts";

/** The `count` smallest singular values, falling, with their vectors, as {@link singularParts} gives the largest. */
export function smallestParts(
  matrix: ArrayLike<number>,
  rows: number,
  columns: number,
  count: number,
): SingularParts {
  const all = Math.min(rows, columns);
  const { left, values, right } = singularParts(matrix, rows, columns, all);
  const first = all - count;
  return {
    left: Float64Array.from(
      { length: rows * count },
      (_, at) => left[Math.floor(at / count) * all + first + (at % count)] ?? 0,
    ),
    values: values.slice(first),
    right: right.slice(first * columns),
  };
}
