/** The smallest eigenvalues of a symmetric matrix with their vectors, without all the others. */

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

interface Tridiagonal {
  readonly diagonal: Float64Array;
  /** Element i stands beside elements i and i + 1 of the diagonal. */
  readonly beside: Float64Array;
  /** Reflector k, of norm 1 or zero, acts on the places behind k. */
  readonly reflectors: readonly Float64Array[];
}

function tridiagonal(matrix: Float64Array, size: number): Tridiagonal {
  const work = Float64Array.from(matrix);
  const beside = new Float64Array(Math.max(0, size - 1));
  const reflectors: Float64Array[] = [];
  for (let k = 0; k < size - 2; k++) {
    const length = size - k - 1;
    const vector = Float64Array.from({ length }, (_, i) => work[(k + 1 + i) * size + k] ?? 0);
    const first = vector[0] ?? 0;
    const norm = Math.sqrt(dot(vector, vector));
    const target = first > 0 ? -norm : norm;
    vector[0] = first - target;
    const own = Math.sqrt(dot(vector, vector));
    if (own > 0) for (let i = 0; i < length; i++) vector[i] = (vector[i] ?? 0) / own;
    beside[k] = own > 0 ? target : first;
    reflectors.push(vector);
    const image = new Float64Array(length);
    for (let i = 0; i < length; i++) {
      let sum = 0;
      const row = (k + 1 + i) * size + k + 1;
      for (let j = 0; j < length; j++) sum += (work[row + j] ?? 0) * (vector[j] ?? 0);
      image[i] = 2 * sum;
    }
    const share = dot(vector, image);
    for (let i = 0; i < length; i++) image[i] = (image[i] ?? 0) - share * (vector[i] ?? 0);
    for (let i = 0; i < length; i++) {
      const [a, c] = [vector[i] ?? 0, image[i] ?? 0];
      const row = (k + 1 + i) * size + k + 1;
      for (let j = 0; j < length; j++)
        work[row + j] = (work[row + j] ?? 0) - a * (image[j] ?? 0) - c * (vector[j] ?? 0);
    }
  }
  if (size > 1) beside[size - 2] = work[(size - 1) * size + size - 2] ?? 0;
  const diagonal = Float64Array.from({ length: size }, (_, i) => work[i * size + i] ?? 0);
  return { diagonal, beside, reflectors };
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

function turnBack(vector: Float64Array, reflectors: readonly Float64Array[]): Float64Array {
  const result = Float64Array.from(vector);
  for (let k = reflectors.length - 1; k >= 0; k--) {
    const reflector = reflectors[k] ?? new Float64Array();
    const rest = result.subarray(k + 1);
    const share = 2 * dot(reflector, rest);
    for (let i = 0; i < rest.length; i++) rest[i] = (rest[i] ?? 0) - share * (reflector[i] ?? 0);
  }
  return result;
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

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
