/** All eigenvalues of a symmetric matrix with their vectors. */
import { turnRows } from "./svd-rotations.ts";
import { tridiagonal, turnBack } from "./tridiagonal.ts";

/** Most rounds for one eigenvalue; two are usual. */
const mostRounds = 60;

/**
 * Eigenvalues, falling, and below each other their vectors of norm 1, (size, size), of a row-major symmetric matrix: by implicit QL
 * steps with Wilkinson's shift on its tridiagonal form (Golub and Van Loan 2013, section 8.3). Undefined where they do not converge.
 */
export function allPairs(
  matrix: Float64Array,
  size: number,
): { readonly values: Float64Array; readonly vectors: Float64Array } | undefined {
  const { diagonal, beside, reflectors } = tridiagonal(matrix, size);
  // Row i is column i of what the tridiagonal form is turned by: rows lie together when two of them are turned.
  const turns = new Float64Array(size * size);
  for (let i = 0; i < size; i++) turns[i * size + i] = 1;
  const off = new Float64Array(size);
  off.set(beside);
  for (let l = 0; l < size; l++) {
    for (let round = 0; ; round++) {
      const end = smallAfter(diagonal, off, l);
      if (end === l) break;
      if (round === mostRounds) return undefined;
      step(diagonal, off, turns, l, end);
    }
  }
  const order = Array.from(diagonal.keys()).sort((i, j) => (diagonal[j] ?? 0) - (diagonal[i] ?? 0));
  const vectors = new Float64Array(size * size);
  order.forEach((from, to) => {
    vectors.set(turnBack(turns.slice(from * size, (from + 1) * size), reflectors), to * size);
  });
  return { values: Float64Array.from(order, (i) => diagonal[i] ?? 0), vectors };
}

/** The first place from `l` on behind which nothing stands beside the diagonal. */
function smallAfter(diagonal: Float64Array, off: Float64Array, l: number): number {
  let m = l;
  for (; m < diagonal.length - 1; m++) {
    const near = Math.abs(diagonal[m] ?? 0) + Math.abs(diagonal[m + 1] ?? 0);
    if (Math.abs(off[m] ?? 0) <= Number.EPSILON * near) break;
  }
  return m;
}

/** One implicit QL step on the block from `l` to `m`. */
function step(diagonal: Float64Array, off: Float64Array, turns: Float64Array, l: number, m: number): void {
  const size = diagonal.length;
  const [first, beside] = [diagonal[l] ?? 0, off[l] ?? 0];
  const half = ((diagonal[l + 1] ?? 0) - first) / (2 * beside);
  const root = Math.sqrt(half * half + 1);
  let g = (diagonal[m] ?? 0) - first + beside / (half + (half >= 0 ? root : -root));
  let [sine, cosine, shift] = [1, 1, 0];
  for (let i = m - 1; i >= l; i--) {
    const f = sine * (off[i] ?? 0);
    const b = cosine * (off[i] ?? 0);
    const r = Math.sqrt(f * f + g * g);
    off[i + 1] = r;
    if (r === 0) {
      diagonal[i + 1] = (diagonal[i + 1] ?? 0) - shift;
      off[m] = 0;
      return;
    }
    sine = f / r;
    cosine = g / r;
    const h = (diagonal[i + 1] ?? 0) - shift;
    const t = ((diagonal[i] ?? 0) - h) * sine + 2 * cosine * b;
    shift = sine * t;
    diagonal[i + 1] = h + shift;
    g = cosine * t - b;
    turnRows(turns, i * size, (i + 1) * size, size, cosine, sine);
  }
  diagonal[l] = (diagonal[l] ?? 0) - shift;
  off[l] = g;
  off[m] = 0;
}
