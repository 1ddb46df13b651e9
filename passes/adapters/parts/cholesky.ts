/** Symmetric positive definite matrices: their triangular factor and their inverse. */
import { dot, gramOfRows, transposed } from "./dense.ts";

/** Pivots below this part of the largest element are taken for zero. */
const leastPivot = 1e-13;

/**
 * The lower triangular L with L L^T the row-major matrix, by Cholesky's algorithm row by row (Golub and Van Loan 2013, section 4.2);
 * undefined where the matrix is not positive definite.
 */
export function lowerFactor(matrix: Float64Array, size: number): Float64Array | undefined {
  const lower = new Float64Array(size * size);
  const least = leastPivot * matrix.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let i = 0; i < size; i++) {
    const row = lower.subarray(i * size, (i + 1) * size);
    for (let j = 0; j < i; j++) {
      const at = j * size;
      const sum = dot(row.subarray(0, j), lower.subarray(at, at + j));
      row[j] = ((matrix[i * size + j] ?? 0) - sum) / (lower[at + j] ?? 0);
    }
    const known = row.subarray(0, i);
    const pivot = (matrix[i * size + i] ?? 0) - dot(known, known);
    if (!(pivot > least)) return undefined;
    row[i] = Math.sqrt(pivot);
  }
  return lower;
}

/** The inverse; undefined where the matrix is not positive definite. */
export function inverseOf(matrix: Float64Array, size: number): Float64Array | undefined {
  const lower = lowerFactor(matrix, size);
  if (lower === undefined) return undefined;
  // The inverse of L, whose rows follow from those above; then L^-T L^-1.
  const inverse = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    const row = inverse.subarray(i * size, (i + 1) * size);
    for (let j = 0; j < i; j++) {
      const factor = lower[i * size + j] ?? 0;
      const above = inverse.subarray(j * size, j * size + j + 1);
      for (let k = 0; k <= j; k++) row[k] = (row[k] ?? 0) - factor * (above[k] ?? 0);
    }
    const pivot = lower[i * size + i] ?? 0;
    for (let k = 0; k < i; k++) row[k] = (row[k] ?? 0) / pivot;
    row[i] = 1 / pivot;
  }
  return gramOfRows(transposed(inverse, size, size), size, size);
}
