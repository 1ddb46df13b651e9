/** Singular value decompositions of frozen weights, for methods that start from them. */

/** M = left diag(values) right, with values falling: (rows, count), (count), (count, columns), row-major. */
export interface SingularParts {
  readonly left: Float64Array;
  readonly values: Float64Array;
  readonly right: Float64Array;
}

/**
 * The `count` largest singular values of a row-major matrix, with their vectors, in float64. Signs are those that make the
 * largest element of each left vector positive; libraries differ in this, and nothing may depend on it.
 */
export function singularParts(
  matrix: ArrayLike<number>,
  rows: number,
  columns: number,
  count: number,
): SingularParts {
  const short = Math.min(rows, columns);
  const width = count + 8;
  if (4 * width >= short)
    return signed(truncated(jacobi(matrix, rows, columns), rows, columns, count), rows, columns);
  return signed(subspace(matrix, rows, columns, count, width), rows, columns);
}

/** All singular values, by rotations of pairs of columns until they are orthogonal (Hestenes 1958). */
function jacobi(matrix: ArrayLike<number>, rows: number, columns: number): SingularParts {
  if (rows < columns) {
    const { left, values, right } = jacobi(transposed(matrix, rows, columns), columns, rows);
    return { left: transposed(right, rows, rows), values, right: transposed(left, columns, rows) };
  }
  // Columns lie together, so that a rotation runs along them.
  const work = transposed(matrix, rows, columns);
  const turns = new Float64Array(columns * columns);
  for (let i = 0; i < columns; i++) turns[i * columns + i] = 1;
  for (let sweep = 0, moved = true; moved && sweep < 60; sweep++) {
    moved = false;
    for (let i = 0; i < columns - 1; i++) {
      for (let j = i + 1; j < columns; j++) {
        const [a, b, c] = products(work, i * rows, j * rows, rows);
        if (Math.abs(c) <= 1e-15 * Math.sqrt(a * b)) continue;
        moved = true;
        const zeta = (b - a) / (2 * c);
        const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const cosine = 1 / Math.sqrt(1 + t * t);
        turn(work, i * rows, j * rows, rows, cosine, cosine * t);
        turn(turns, i * columns, j * columns, columns, cosine, cosine * t);
      }
    }
  }
  const norms = Float64Array.from({ length: columns }, (_, i) =>
    Math.sqrt(products(work, i * rows, i * rows, rows)[0]),
  );
  const order = Array.from(norms.keys()).sort((i, j) => (norms[j] ?? 0) - (norms[i] ?? 0));
  const left = new Float64Array(rows * columns);
  const right = new Float64Array(columns * columns);
  order.forEach((from, to) => {
    const norm = norms[from] ?? 0;
    for (let row = 0; row < rows; row++)
      left[row * columns + to] = norm > 0 ? (work[from * rows + row] ?? 0) / norm : 0;
    right.set(turns.subarray(from * columns, (from + 1) * columns), to * columns);
  });
  return { left, values: Float64Array.from(order, (i) => norms[i] ?? 0), right };
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

function turn(x: Float64Array, i: number, j: number, length: number, cosine: number, sine: number): void {
  for (let k = 0; k < length; k++) {
    const p = x[i + k] ?? 0;
    const q = x[j + k] ?? 0;
    x[i + k] = cosine * p - sine * q;
    x[j + k] = sine * p + cosine * q;
  }
}

/** The largest few, by iterating a subspace that is a little wider (Halko, Martinsson and Tropp 2011, algorithm 4.4). */
function subspace(
  matrix: ArrayLike<number>,
  rows: number,
  columns: number,
  count: number,
  width: number,
): SingularParts {
  const turned = transposed(matrix, rows, columns);
  // Rows of `basis` span what the right vectors lie in.
  let basis = orthonormalRows(randomRows(width, columns), width, columns);
  let known = new Float64Array(count);
  for (let round = 0; round < 300; round++) {
    const images = orthonormalRows(timesTransposed(basis, width, matrix, rows, columns), width, rows);
    const back = timesTransposed(images, width, turned, columns, rows);
    const small = truncated(jacobi(back, width, columns), width, columns, count);
    const change = Math.max(
      ...small.values.map((value, i) => Math.abs(value - (known[i] ?? 0)) / (value || 1)),
    );
    known = Float64Array.from(small.values);
    if (change < 1e-13) {
      // back = images M, so that M is nearly images^T small.
      const left = new Float64Array(rows * count);
      for (let row = 0; row < rows; row++) {
        for (let k = 0; k < width; k++) {
          const factor = images[k * rows + row] ?? 0;
          for (let i = 0; i < count; i++)
            left[row * count + i] = (left[row * count + i] ?? 0) + factor * (small.left[k * count + i] ?? 0);
        }
      }
      return { left, values: small.values, right: small.right };
    }
    basis = orthonormalRows(back, width, columns);
  }
  return truncated(jacobi(matrix, rows, columns), rows, columns, count);
}

/** `a` (width, columns) times the transpose of `b` (rows, columns). */
export function timesTransposed(
  a: Float64Array,
  width: number,
  b: ArrayLike<number>,
  rows: number,
  columns: number,
): Float64Array {
  const result = new Float64Array(width * rows);
  for (let row = 0; row < rows; row++) {
    for (let i = 0; i < width; i++) {
      let sum = 0;
      for (let k = 0; k < columns; k++) sum += (a[i * columns + k] ?? 0) * (b[row * columns + k] ?? 0);
      result[i * rows + row] = sum;
    }
  }
  return result;
}

/** Gram-Schmidt with one repetition for accuracy, in place. */
export function orthonormalRows(x: Float64Array, rows: number, columns: number): Float64Array {
  for (let i = 0; i < rows; i++) {
    for (let round = 0; round < 2; round++) {
      for (let j = 0; j < i; j++) {
        const overlap = products(x, i * columns, j * columns, columns)[2];
        for (let k = 0; k < columns; k++)
          x[i * columns + k] = (x[i * columns + k] ?? 0) - overlap * (x[j * columns + k] ?? 0);
      }
    }
    const norm = Math.sqrt(products(x, i * columns, i * columns, columns)[0]);
    for (let k = 0; k < columns; k++) x[i * columns + k] = norm > 0 ? (x[i * columns + k] ?? 0) / norm : 0;
  }
  return x;
}

/** Numbers without a pattern, the same in every run: Weyl's sequence of the golden ratio. */
function randomRows(rows: number, columns: number): Float64Array {
  return Float64Array.from(
    { length: rows * columns },
    (_, i) => (((i + 1) * 0.618_033_988_749_894_9) % 1) - 0.5 + Math.sin(i * i),
  );
}

export function transposed(matrix: ArrayLike<number>, rows: number, columns: number): Float64Array {
  const result = new Float64Array(rows * columns);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++)
      result[column * rows + row] = matrix[row * columns + column] ?? 0;
  return result;
}

function truncated(
  { left, values, right }: SingularParts,
  rows: number,
  columns: number,
  count: number,
): SingularParts {
  const all = values.length;
  if (all === count) return { left, values, right };
  return {
    left: Float64Array.from(
      { length: rows * count },
      (_, i) => left[Math.floor(i / count) * all + (i % count)] ?? 0,
    ),
    values: values.slice(0, count),
    right: right.slice(0, count * columns),
  };
}

function signed({ left, values, right }: SingularParts, rows: number, columns: number): SingularParts {
  const count = values.length;
  for (let i = 0; i < count; i++) {
    let largest = 0;
    for (let row = 0; row < rows; row++) {
      const element = left[row * count + i] ?? 0;
      if (Math.abs(element) > Math.abs(largest)) largest = element;
    }
    if (largest >= 0) continue;
    for (let row = 0; row < rows; row++) left[row * count + i] = -(left[row * count + i] ?? 0);
    for (let k = 0; k < columns; k++) right[i * columns + k] = -(right[i * columns + k] ?? 0);
  }
  return { left, values, right };
}
