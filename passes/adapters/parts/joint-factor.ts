/** Directions that several matrices share, and what is left of each of them along these. */
import { singularParts } from "./svd.ts";

/**
 * V of matrices W_i (rows_i, width), so that W_i = B_i V^T: V = R^T E with R^T R the sum of W_i^T W_i, and E the eigenvectors
 * of the mean of (Q_i^T Q_i + alpha I)^-1 with Q_i = W_i R^-1, the higher-order generalised singular value decomposition
 * (Ponnapalli et al. 2011) with a ridge. Eigenvectors of the sum alone where the matrices have fewer rows than columns.
 */
export function jointFactor(
  matrices: readonly Float32Array[],
  width: number,
  alpha: number,
): Float32Array<ArrayBuffer> {
  const grams = matrices.map((matrix) => gramOf(matrix, width));
  const sum = new Float64Array(width * width);
  for (const gram of grams)
    gram.forEach((value, i) => {
      sum[i] = (sum[i] ?? 0) + value;
    });
  const rows = matrices.reduce((total, { length }) => total + length / width, 0);
  if (rows < width) {
    const { right } = singularParts(sum, width, width, width);
    return Float32Array.from(sum, (_, i) => right[(i % width) * width + Math.floor(i / width)] ?? 0);
  }
  const root = ofEigenvalues(sum, width, Math.sqrt);
  const inverseRoot = ofEigenvalues(sum, width, (value) => 1 / Math.sqrt(value));
  const mean = new Float64Array(width * width);
  for (const gram of grams) {
    const inner = product(product(inverseRoot, gram, width), inverseRoot, width);
    for (let i = 0; i < width; i++) inner[i * width + i] = (inner[i * width + i] ?? 0) + alpha;
    ofEigenvalues(inner, width, (value) => 1 / value).forEach((value, i) => {
      mean[i] = (mean[i] ?? 0) + value / grams.length;
    });
  }
  const { right } = singularParts(mean, width, width, width);
  return Float32Array.from(product(root, transposed(right, width), width));
}

/** U with columns of norm 1, and l, so that U diag(l) V^T is the matrix: columns of its product with the inverse of V^T. */
export function normalisedFactor(
  matrix: Float32Array,
  V: Float32Array,
  rows: number,
  width: number,
): { U: Float32Array<ArrayBuffer>; l: Float32Array<ArrayBuffer> } {
  const { left, values, right } = singularParts(V, width, width, width);
  const least = (values[0] ?? 0) * 1e-6;
  // The transpose of the (pseudo-)inverse: left diag(1 / values) right.
  const scaled = left.map((value, i) => {
    const size = values[i % width] ?? 0;
    return size > least ? value / size : 0;
  });
  const inverse = product(scaled, right, width);
  const image = new Float64Array(rows * width);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < width; k++) {
      const factor = matrix[row * width + k] ?? 0;
      for (let column = 0; column < width; column++) {
        const at = row * width + column;
        image[at] = (image[at] ?? 0) + factor * (inverse[k * width + column] ?? 0);
      }
    }
  }
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

/** W^T W. */
function gramOf(matrix: Float32Array, width: number): Float64Array {
  const gram = new Float64Array(width * width);
  for (let start = 0; start < matrix.length; start += width) {
    for (let i = 0; i < width; i++) {
      const factor = matrix[start + i] ?? 0;
      for (let j = 0; j < width; j++)
        gram[i * width + j] = (gram[i * width + j] ?? 0) + factor * (matrix[start + j] ?? 0);
    }
  }
  return gram;
}

/** A symmetric matrix with no negative eigenvalues, with a function of each in its place. */
function ofEigenvalues(matrix: Float64Array, size: number, change: (value: number) => number): Float64Array {
  const { values, right } = singularParts(matrix, size, size, size);
  const scaled = right.map((value, i) => value * change(values[Math.floor(i / size)] ?? 0));
  return product(transposed(right, size), scaled, size);
}

function product(a: Float64Array, b: Float64Array, size: number): Float64Array {
  const result = new Float64Array(size * size);
  for (let i = 0; i < size; i++) {
    for (let k = 0; k < size; k++) {
      const factor = a[i * size + k] ?? 0;
      for (let j = 0; j < size; j++)
        result[i * size + j] = (result[i * size + j] ?? 0) + factor * (b[k * size + j] ?? 0);
    }
  }
  return result;
}

function transposed(matrix: Float64Array, size: number): Float64Array {
  return matrix.map((_, i) => matrix[(i % size) * size + Math.floor(i / size)] ?? 0);
}
