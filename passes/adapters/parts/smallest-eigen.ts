/** The smallest eigenvalues of a symmetric matrix with their vectors, without all the others. */
import { dot } from "./dense.ts";
import { tridiagonal, turnBack } from "./tridiagonal.ts";

/** Eigenvectors of norm 1, one below the other, by rising eigenvalue. */
export interface EigenPairs {
  readonly values: readonly number[];
  readonly vectors: readonly Float64Array[];
}

/**
 * The `count` smallest pairs of a row-major symmetric matrix: reflections to tridiagonal form, bisection by Sturm's count, inverse
 * iteration (Golub and Van Loan 2013, sections 8.3, 8.4 and 8.2). Undefined where a pair does not hold to 1e-9 of the largest
 * element.
 */
export function smallestPairs(matrix: Float64Array, size: number, count: number): EigenPairs | undefined {
  const { diagonal, beside, reflectors } = tridiagonal(matrix, size);
  const values: number[] = [];
  const inner: Float64Array[] = [];
  for (let k = 0; k < count; k++) {
    const value = eigenvalueAt(diagonal, beside, k);
    values.push(value);
    inner.push(inverseIteration(diagonal, beside, value, inner));
  }
  const vectors = inner.map((vector) => turnBack(vector, reflectors));
  const holds = vectors.every((vector, k) => residual(matrix, size, vector, values[k] ?? 0) < 1e-9);
  return holds ? { values, vectors } : undefined;
}

/** The eigenvalue that `index` others lie below. */
function eigenvalueAt(diagonal: Float64Array, beside: Float64Array, index: number): number {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  diagonal.forEach((value, i) => {
    const radius = Math.abs(beside[i - 1] ?? 0) + Math.abs(beside[i] ?? 0);
    low = Math.min(low, value - radius);
    high = Math.max(high, value + radius);
  });
  for (let round = 0; round < 120; round++) {
    const middle = (low + high) / 2;
    if (middle === low || middle === high) break;
    if (countBelow(diagonal, beside, middle) > index) high = middle;
    else low = middle;
  }
  return (low + high) / 2;
}

/** Number of eigenvalues below a number: of negative pivots. */
function countBelow(diagonal: Float64Array, beside: Float64Array, at: number): number {
  let count = 0;
  let pivot = 1;
  for (let i = 0; i < diagonal.length; i++) {
    const off = i === 0 ? 0 : (beside[i - 1] ?? 0);
    pivot = (diagonal[i] ?? 0) - at - (off * off) / pivot;
    if (pivot === 0) pivot = Number.EPSILON * (Math.abs(off) + Number.MIN_VALUE);
    if (pivot < 0) count += 1;
  }
  return count;
}

/** A vector of the tridiagonal matrix at right angles to those that are known. */
function inverseIteration(
  diagonal: Float64Array,
  beside: Float64Array,
  value: number,
  known: readonly Float64Array[],
): Float64Array {
  let vector: Float64Array = Float64Array.from(
    diagonal,
    (_, i) => ((i + 1 + known.length) * 0.618_033_988_749_894_9) % 1,
  );
  for (let round = 0; round < 4; round++) {
    vector = solve(diagonal, beside, value, vector);
    for (let again = 0; again < 2; again++)
      for (const other of known) {
        const overlap = dot(vector, other);
        for (let i = 0; i < vector.length; i++) vector[i] = (vector[i] ?? 0) - overlap * (other[i] ?? 0);
      }
    const norm = Math.sqrt(dot(vector, vector));
    vector = vector.map((element) => element / norm);
  }
  return vector;
}

/** (T - value) x = right, by elimination that exchanges neighbouring rows; a zero pivot is taken for a tiny one. */
function solve(
  diagonal: Float64Array,
  beside: Float64Array,
  value: number,
  right: Float64Array,
): Float64Array {
  const size = diagonal.length;
  const tiny = Number.EPSILON * Math.max(...diagonal.map(Math.abs), Number.MIN_VALUE);
  const [main, next, third] = [
    diagonal.map((d) => d - value),
    new Float64Array(size),
    new Float64Array(size),
  ];
  next.set(beside);
  const x = Float64Array.from(right);
  for (let i = 0; i < size - 1; i++) {
    let [below, belowMain, belowNext] = [beside[i] ?? 0, main[i + 1] ?? 0, next[i + 1] ?? 0];
    if (Math.abs(below) > Math.abs(main[i] ?? 0)) {
      const [a, c, d, e] = [main[i] ?? 0, next[i] ?? 0, x[i] ?? 0, x[i + 1] ?? 0];
      main[i] = below;
      next[i] = belowMain;
      third[i] = belowNext;
      [below, belowMain, belowNext] = [a, c, 0];
      x[i] = e;
      x[i + 1] = d;
    }
    if (main[i] === 0) main[i] = tiny;
    const factor = below / (main[i] ?? tiny);
    main[i + 1] = belowMain - factor * (next[i] ?? 0);
    next[i + 1] = belowNext - factor * (third[i] ?? 0);
    x[i + 1] = (x[i + 1] ?? 0) - factor * (x[i] ?? 0);
  }
  for (let i = size - 1; i >= 0; i--) {
    const rest = (x[i] ?? 0) - (next[i] ?? 0) * (x[i + 1] ?? 0) - (third[i] ?? 0) * (x[i + 2] ?? 0);
    x[i] = rest / (main[i] === 0 ? tiny : (main[i] ?? tiny));
  }
  // Only the direction counts, and elements may be huge.
  const largest = x.reduce((most, element) => Math.max(most, Math.abs(element)), 0);
  return largest > 0 ? x.map((element) => element / largest) : x;
}

/** Largest element of M x - value x, over the largest of M. */
function residual(matrix: Float64Array, size: number, vector: Float64Array, value: number): number {
  let [worst, largest] = [0, Number.MIN_VALUE];
  for (let i = 0; i < size; i++) {
    let sum = -value * (vector[i] ?? 0);
    for (let j = 0; j < size; j++) {
      const element = matrix[i * size + j] ?? 0;
      largest = Math.max(largest, Math.abs(element));
      sum += element * (vector[j] ?? 0);
    }
    worst = Math.max(worst, Math.abs(sum));
  }
  return Number.isFinite(worst) ? worst / largest : Number.POSITIVE_INFINITY;
}
