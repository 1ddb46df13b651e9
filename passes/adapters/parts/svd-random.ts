/** The largest singular parts of a weight by a random search of few rounds, as torch.svd_lowrank makes them. */
import { product, timesTransposed, transposed } from "./dense.ts";
import type { SingularParts } from "./singular-parts.ts";
import { orthonormalRows, singularParts } from "./svd.ts";

/**
 * Singular parts of the matrix within a subspace of size `count` that `rounds` power iterations turn towards the largest ones
 * (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1): near the largest, with errors that fall by the square of the
 * ratio of singular values in each round.
 *
 * @param start normal numbers, at least (count, columns) of them.
 */
export function randomParts(
  matrix: ArrayLike<number>,
  [rows, columns]: readonly [number, number],
  count: number,
  { rounds, start }: { readonly rounds: number; readonly start: ArrayLike<number> },
): SingularParts {
  const turned = transposed(matrix, rows, columns);
  const directions = Float64Array.from({ length: count * columns }, (_, i) => start[i] ?? 0);
  const forward = (basis: Float64Array): Float64Array =>
    orthonormalRows(timesTransposed(basis, count, matrix, rows, columns), count, rows);
  let images = forward(directions);
  for (let round = 0; round < rounds; round++) {
    const back = timesTransposed(images, count, turned, columns, rows);
    images = forward(orthonormalRows(back, count, columns));
  }
  // The matrix within the subspace: (count, columns), whose left vectors are combinations of the rows of `images`.
  const small = singularParts(timesTransposed(images, count, turned, columns, rows), count, columns, count);
  const left = product(transposed(images, count, rows), rows, small.left, count, count);
  return { left, values: small.values, right: small.right };
}
