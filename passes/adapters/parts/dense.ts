/** Products of dense row-major matrices in float64, in tiles that stay in registers. */

/**
 * `a` (width, columns) times the transpose of `b` (rows, columns): every element is a product of two rows, eight of which are
 * summed at once. Where rows are left over, a tile takes the last one again and what it makes of it is not kept.
 */
export function timesTransposed(
  a: ArrayLike<number>,
  width: number,
  b: ArrayLike<number>,
  rows: number,
  columns: number,
): Float64Array {
  const result = new Float64Array(width * rows);
  const [left, right] = [doubles(a), doubles(b)];
  for (let i = 0; i < width; i += 2)
    for (let j = 0; j < rows; j += 4) tile(left, i, width, right, j, rows, columns, result);
  return result;
}

/** M M^T of a matrix (rows, columns). */
export function gramOfRows(matrix: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const result = new Float64Array(rows * rows);
  const own = doubles(matrix);
  for (let i = 0; i < rows; i += 2)
    for (let j = 0; j <= i; j += 4) tile(own, i, rows, own, j, rows, columns, result);
  for (let i = 0; i < rows; i++) for (let j = 0; j < i; j++) result[j * rows + i] = result[i * rows + j] ?? 0;
  return result;
}

/** `a` (rows, inner) times `b` (inner, columns). */
export function product(
  a: ArrayLike<number>,
  rows: number,
  b: ArrayLike<number>,
  inner: number,
  columns: number,
): Float64Array {
  return timesTransposed(a, rows, transposed(b, inner, columns), columns, inner);
}

export function transposed(matrix: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const result = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = matrix[row * columns + column] ?? 0;
  return result;
}

export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

/** One kind of array, so that the loop below is compiled for it alone. */
function doubles(values: ArrayLike<number>): Float64Array {
  return values instanceof Float64Array ? values : Float64Array.from(values);
}

/** Rows i, i + 1 of `a` by rows j to j + 3 of `b`. */
function tile(
  a: Float64Array,
  i: number,
  width: number,
  b: Float64Array,
  j: number,
  rows: number,
  columns: number,
  result: Float64Array,
): void {
  const second = Math.min(i + 1, width - 1);
  const [q, r, s] = [Math.min(j + 1, rows - 1), Math.min(j + 2, rows - 1), Math.min(j + 3, rows - 1)];
  const [atA, atA2] = [i * columns, second * columns];
  const [atB, atB2, atB3, atB4] = [j * columns, q * columns, r * columns, s * columns];
  let [s0, s1, s2, s3, t0, t1, t2, t3] = [0, 0, 0, 0, 0, 0, 0, 0];
  for (let k = 0; k < columns; k++) {
    const x = a[atA + k] ?? 0;
    const y = a[atA2 + k] ?? 0;
    const p0 = b[atB + k] ?? 0;
    const p1 = b[atB2 + k] ?? 0;
    const p2 = b[atB3 + k] ?? 0;
    const p3 = b[atB4 + k] ?? 0;
    s0 += x * p0;
    s1 += x * p1;
    s2 += x * p2;
    s3 += x * p3;
    t0 += y * p0;
    t1 += y * p1;
    t2 += y * p2;
    t3 += y * p3;
  }
  const [to, to2] = [i * rows, second * rows];
  // Behind the last row the same element is written again.
  result[to2 + j] = t0;
  result[to2 + q] = t1;
  result[to2 + r] = t2;
  result[to2 + s] = t3;
  result[to + j] = s0;
  result[to + q] = s1;
  result[to + r] = s2;
  result[to + s] = s3;
}
