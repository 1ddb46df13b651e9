/** Directions that several matrices share, and what is left of each of them along these. */
import { allPairs } from "./all-eigen.ts";
import { inverseOf, lowerFactor } from "./cholesky.ts";
import { gramOfRows, product, timesTransposed, transposed } from "./dense.ts";
import { singularParts } from "./svd.ts";

/**
 * V of matrices W_i (rows_i, width), so that W_i = B_i V^T: V = R^T E with R^T R the sum S of W_i^T W_i, and E the eigenvectors
 * of the mean of (Q_i^T Q_i + alpha I)^-1 with Q_i = W_i R^-1, the higher-order generalised singular value decomposition
 * (Ponnapalli et al. 2011) with a ridge. R is triangular here; each inverse is R (W_i^T W_i + alpha S)^-1 R^T. Eigenvectors of
 * the sum alone where the matrices have fewer rows than columns, or are not independent.
 */
export function jointFactor(
  matrices: readonly Float32Array[],
  width: number,
  alpha: number,
): Float32Array<ArrayBuffer> {
  const grams = matrices.map((matrix) =>
    gramOfRows(transposed(matrix, matrix.length / width, width), width, matrix.length / width),
  );
  const sum = new Float64Array(width * width);
  for (const gram of grams) addTo(sum, gram, 1);
  const rows = matrices.reduce((total, { length }) => total + length / width, 0);
  const lower = rows < width ? undefined : lowerFactor(sum, width);
  const inverses = grams.map((gram) => {
    addTo(gram, sum, alpha);
    return inverseOf(gram, width);
  });
  if (lower === undefined || !inverses.every((inverse) => inverse !== undefined))
    return Float32Array.from(transposed(singularParts(sum, width, width, width).right, width, width));
  const mean = new Float64Array(width * width);
  for (const inverse of inverses) addTo(mean, inverse, 1 / inverses.length);
  // R = lower^T: R M R^T, and then R^T E.
  const upper = transposed(lower, width, width);
  const turned = timesTransposed(
    timesTransposed(upper, width, mean, width, width),
    width,
    upper,
    width,
    width,
  );
  const pairs = allPairs(turned, width);
  const vectors = pairs?.vectors ?? singularParts(turned, width, width, width).right;
  return Float32Array.from(timesTransposed(lower, width, vectors, width, width));
}

/** The transpose of the (pseudo-)inverse of V (width, width), from which each module's factors are made. */
export function turnedInverse(V: ArrayLike<number>, width: number): Float64Array {
  const { left, values, right } = singularParts(V, width, width, width);
  const least = (values[0] ?? 0) * 1e-6;
  const scaled = left.map((value, i) => {
    const size = values[i % width] ?? 0;
    return size > least ? value / size : 0;
  });
  return product(scaled, width, right, width, width);
}

/** U with columns of norm 1, and l, so that U diag(l) V^T is the matrix: columns of its product with the inverse of V^T. */
export function normalisedFactor(
  matrix: Float32Array,
  inverse: Float64Array,
  rows: number,
  width: number,
): { U: Float32Array<ArrayBuffer>; l: Float32Array<ArrayBuffer> } {
  const image = product(matrix, rows, inverse, width, width);
  const sums = new Float64Array(width);
  image.forEach((value, i) => {
    sums[i % width] = (sums[i % width] ?? 0) + value ** 2;
  });
  const norms = sums.map(Math.sqrt);
  const U = Float32Array.from(image, (value, i) => {
    const norm = norms[i % width] ?? 0;
    return norm > 1e-12 ? value / norm : 0;
  });
  return { U, l: Float32Array.from(norms) };
}

function addTo(target: Float64Array, matrix: Float64Array, factor: number): void {
  for (let i = 0; i < target.length; i++) target[i] = (target[i] ?? 0) + factor * (matrix[i] ?? 0);
}
