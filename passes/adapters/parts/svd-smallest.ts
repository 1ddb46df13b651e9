/** The smallest, or largest, singular parts of a frozen weight, by eigenvectors of its Gram matrix. */
import { smallestPairs } from "./smallest-eigen.ts";
import { type SingularParts, singularParts, transposed } from "./svd.ts";

/** Below this part of the largest element of the Gram matrix, its eigenvectors say too little of those of the matrix. */
const smallestShare = 1e-9;

type Decompose = (matrix: ArrayLike<number>, rows: number, columns: number, count: number) => SingularParts;

/**
 * The `count` smallest singular values, falling, with their vectors, as {@link singularParts} gives the largest: from eigenvectors
 * of the smaller Gram matrix where the values are large enough for that, else from a full decomposition.
 */
export const smallestParts: Decompose = (matrix, rows, columns, count) =>
  ofWider(matrix, rows, columns, count, (...wide) => ofGram(...wide, 1) ?? ofAll(...wide));

/** The `count` largest, in the same way: for a few of a large matrix whose singular values lie near each other. */
export const largestParts: Decompose = (matrix, rows, columns, count) =>
  ofWider(matrix, rows, columns, count, (...wide) => ofGram(...wide, -1) ?? singularParts(...wide));

/** Decomposes a matrix, or its transpose where that is the one with no more rows than columns. */
function ofWider(
  matrix: ArrayLike<number>,
  rows: number,
  columns: number,
  count: number,
  decompose: Decompose,
): SingularParts {
  if (rows <= columns) return decompose(matrix, rows, columns, count);
  const { left, values, right } = decompose(transposed(matrix, rows, columns), columns, rows, count);
  return { left: transposed(right, count, rows), values, right: transposed(left, columns, count) };
}

/** For rows <= columns: u of M M^T, the smallest, or with `sign` -1 the largest; values and right vectors by u^T M. */
function ofGram(
  matrix: ArrayLike<number>,
  rows: number,
  columns: number,
  count: number,
  sign: 1 | -1,
): SingularParts | undefined {
  const gram = new Float64Array(rows * rows);
  for (let i = 0; i < rows; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = 0; k < columns; k++)
        sum += (matrix[i * columns + k] ?? 0) * (matrix[j * columns + k] ?? 0);
      gram[i * rows + j] = sign * sum;
      gram[j * rows + i] = sign * sum;
    }
  const found = smallestPairs(gram, rows, count);
  const largest = gram.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const least = sign * (found?.values[sign === 1 ? 0 : count - 1] ?? 0);
  if (found === undefined || !(least > smallestShare * largest)) return undefined;
  const left = new Float64Array(rows * count);
  const values = new Float64Array(count);
  const right = new Float64Array(count * columns);
  found.vectors.forEach((vector, rising) => {
    const i = sign === 1 ? count - 1 - rising : rising;
    const image = right.subarray(i * columns, (i + 1) * columns);
    for (let row = 0; row < rows; row++) {
      const factor = vector[row] ?? 0;
      left[row * count + i] = factor;
      for (let k = 0; k < columns; k++)
        image[k] = (image[k] ?? 0) + factor * (matrix[row * columns + k] ?? 0);
    }
    const value = Math.sqrt(image.reduce((sum, element) => sum + element * element, 0));
    values[i] = value;
    for (let k = 0; k < columns; k++) image[k] = (image[k] ?? 0) / value;
  });
  return { left, values, right };
}

function ofAll(matrix: ArrayLike<number>, rows: number, columns: number, count: number): SingularParts {
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
