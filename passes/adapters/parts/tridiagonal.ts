/** Symmetric matrices in tridiagonal form: T = Q^T M Q by reflections (Golub and Van Loan 2013, section 8.3). */
import { dot } from "./dense.ts";

export interface Tridiagonal {
  readonly diagonal: Float64Array;
  /** Element i stands beside elements i and i + 1 of the diagonal. */
  readonly beside: Float64Array;
  /** Reflector k, of norm 1 or zero, acts on the places behind k. */
  readonly reflectors: readonly Float64Array[];
}

/** Of a row-major matrix, whose lower triangle alone is read. */
export function tridiagonal(matrix: Float64Array, size: number): Tridiagonal {
  const work = Float64Array.from(matrix);
  const diagonal = new Float64Array(size);
  const beside = new Float64Array(Math.max(0, size - 1));
  const reflectors: Float64Array[] = [];
  // The last reflection's change v w^T + w v^T is subtracted where the next one reads the matrix.
  let [v, w]: [Float64Array, Float64Array] = [new Float64Array(size), new Float64Array(size)];
  for (let k = 0; k < size - 1; k++) {
    const [vk, wk] = [v[k] ?? 0, w[k] ?? 0];
    diagonal[k] = (work[k * size + k] ?? 0) - 2 * vk * wk;
    const u = new Float64Array(size);
    for (let i = k + 1; i < size; i++) u[i] = (work[i * size + k] ?? 0) - (v[i] ?? 0) * wk - (w[i] ?? 0) * vk;
    const first = u[k + 1] ?? 0;
    if (k === size - 2) {
      beside[k] = first;
      const last = size - 1;
      diagonal[last] = (work[last * size + last] ?? 0) - 2 * (v[last] ?? 0) * (w[last] ?? 0);
      break;
    }
    const norm = Math.sqrt(dot(u, u));
    const target = first > 0 ? -norm : norm;
    u[k + 1] = first - target;
    const own = Math.sqrt(dot(u, u));
    if (own > 0) for (let i = k + 1; i < size; i++) u[i] = (u[i] ?? 0) / own;
    beside[k] = own > 0 ? target : first;
    reflectors.push(u.subarray(k + 1));
    const image = changedTimes(work, size, k + 1, v, w, u);
    const share = dot(u, image);
    for (let i = k + 1; i < size; i++) image[i] = 2 * ((image[i] ?? 0) - share * (u[i] ?? 0));
    [v, w] = [u, image];
  }
  if (size === 1) diagonal[0] = matrix[0] ?? 0;
  return { diagonal, beside, reflectors };
}

/** Subtracts v w^T + w v^T from the lower triangle behind `from`, and multiplies what is left by `u`; two rows at once. */
function changedTimes(
  work: Float64Array,
  size: number,
  from: number,
  v: Float64Array,
  w: Float64Array,
  u: Float64Array,
): Float64Array {
  const image = new Float64Array(size);
  let i = from;
  if ((size - from) % 2 === 1) {
    // One row alone, of one element.
    const x = (work[i * size + i] ?? 0) - 2 * (v[i] ?? 0) * (w[i] ?? 0);
    work[i * size + i] = x;
    image[i] = x * (u[i] ?? 0);
    i += 1;
  }
  for (; i < size; i += 2) {
    const [row, row2] = [i * size, (i + 1) * size];
    const a = v[i] ?? 0;
    const c = w[i] ?? 0;
    const own = u[i] ?? 0;
    const a2 = v[i + 1] ?? 0;
    const c2 = w[i + 1] ?? 0;
    const own2 = u[i + 1] ?? 0;
    let sum = 0;
    let sum2 = 0;
    for (let j = from; j < i; j++) {
      const vj = v[j] ?? 0;
      const wj = w[j] ?? 0;
      const uj = u[j] ?? 0;
      const x = (work[row + j] ?? 0) - a * wj - c * vj;
      const x2 = (work[row2 + j] ?? 0) - a2 * wj - c2 * vj;
      work[row + j] = x;
      work[row2 + j] = x2;
      sum += x * uj;
      sum2 += x2 * uj;
      image[j] = (image[j] ?? 0) + x * own + x2 * own2;
    }
    const x = (work[row + i] ?? 0) - 2 * a * c;
    const y = (work[row2 + i] ?? 0) - a2 * c - c2 * a;
    const z = (work[row2 + i + 1] ?? 0) - 2 * a2 * c2;
    work[row + i] = x;
    work[row2 + i] = y;
    work[row2 + i + 1] = z;
    image[i] = sum + x * own + y * own2;
    image[i + 1] = sum2 + y * own + z * own2;
  }
  return image;
}

/** Q x for a vector of T, in place of it. */
export function turnBack(vector: Float64Array, reflectors: readonly Float64Array[]): Float64Array {
  const size = vector.length;
  for (let k = reflectors.length - 1; k >= 0; k--) {
    const reflector = reflectors[k] ?? new Float64Array();
    const rest = vector.subarray(size - reflector.length);
    const share = 2 * dot(reflector, rest);
    for (let i = 0; i < rest.length; i++) rest[i] = (rest[i] ?? 0) - share * (reflector[i] ?? 0);
  }
  return vector;
}
