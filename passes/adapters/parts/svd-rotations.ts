/** All singular values by rotations of pairs of rows, to full precision whatever their size. */
import { transposed } from "./dense.ts";
import type { SingularParts } from "./singular-parts.ts";

/**
 * Rotates rows until they are at right angles (Hestenes 1958); for rows <= columns.
 *
 * @param start rows of norm 1 at right angles (rows, rows) that the matrix is turned by first: left vectors that are nearly right.
 */
export function byRotations(
  matrix: ArrayLike<number>,
  rows: number,
  columns: number,
  start?: { readonly turns: Float64Array; readonly turned: Float64Array },
): SingularParts {
  const work = start === undefined ? Float64Array.from(matrix) : start.turned;
  const turns = start === undefined ? identity(rows) : start.turns;
  for (let sweep = 0, moved = true; moved && sweep < 60; sweep++) {
    moved = false;
    for (let i = 0; i < rows - 1; i++) {
      for (let j = i + 1; j < rows; j++) {
        const [a, b, c] = products(work, i * columns, j * columns, columns);
        if (Math.abs(c) <= 1e-15 * Math.sqrt(a * b)) continue;
        moved = true;
        const zeta = (b - a) / (2 * c);
        const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const cosine = 1 / Math.sqrt(1 + t * t);
        turnRows(work, i * columns, j * columns, columns, cosine, cosine * t);
        turnRows(turns, i * rows, j * rows, rows, cosine, cosine * t);
      }
    }
  }
  const norms = Float64Array.from({ length: rows }, (_, i) =>
    Math.sqrt(products(work, i * columns, i * columns, columns)[0]),
  );
  const order = Array.from(norms.keys()).sort((i, j) => (norms[j] ?? 0) - (norms[i] ?? 0));
  const left = new Float64Array(rows * rows);
  const right = new Float64Array(rows * columns);
  order.forEach((from, to) => {
    const norm = norms[from] ?? 0;
    const image = work.subarray(from * columns, (from + 1) * columns);
    if (norm > 0)
      right.set(
        image.map((element) => element / norm),
        to * columns,
      );
    left.set(turns.subarray(from * rows, (from + 1) * rows), to * rows);
  });
  return {
    left: transposed(left, rows, rows),
    values: Float64Array.from(order, (i) => norms[i] ?? 0),
    right,
  };
}

function identity(size: number): Float64Array {
  const result = new Float64Array(size * size);
  for (let i = 0; i < size; i++) result[i * size + i] = 1;
  return result;
}

/** Squared lengths of two stretches, and their product. */
function products(x: Float64Array, i: number, j: number, length: number): [number, number, number] {
  let [a, b, c] = [0, 0, 0];
  for (let k = 0; k < length; k++) {
    const p = x[i + k] ?? 0;
    const q = x[j + k] ?? 0;
    a += p * p;
    b += q * q;
    c += p * q;
  }
  return [a, b, c];
}

/** Turns two stretches within their plane, the first one away from the second. */
export function turnRows(
  x: Float64Array,
  i: number,
  j: number,
  length: number,
  cosine: number,
  sine: number,
): void {
  for (let k = 0; k < length; k++) {
    const p = x[i + k] ?? 0;
    const q = x[j + k] ?? 0;
    x[i + k] = cosine * p - sine * q;
    x[j + k] = sine * p + cosine * q;
  }
}
