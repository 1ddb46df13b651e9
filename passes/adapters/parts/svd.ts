/** Singular value decompositions of frozen weights, for methods that start from them. */
import { dot, timesTransposed, transposed } from "./dense.ts";
import { ofWider, type SingularParts, signed, someParts } from "./singular-parts.ts";
import { fromLeft, nearlyAll, someOfGram } from "./svd-gram.ts";
import { byRotations } from "./svd-rotations.ts";

/** Up to this number of rows or columns, all parts are found by rotations. */
const small = 64;

/** Up to this number, a few are found by the Gram matrix: above it, a search that reads the matrix itself costs less. */
const large = 2048;

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
  const found = ofWider(matrix, rows, columns, (wide, short, long) => {
    if (short <= small || 4 * (count + 8) >= short)
      return someParts(allParts(wide, short, long), [short, long], 0, count);
    const some = short <= large ? someOfGram(wide, [short, long], count, "largest") : undefined;
    return some ?? bySubspace(wide, short, long, count, count + 8);
  });
  return signed(found, rows, columns);
}

/** The `count` smallest, falling, in the same way. */
export function smallestParts(
  matrix: ArrayLike<number>,
  rows: number,
  columns: number,
  count: number,
): SingularParts {
  const found = ofWider(
    matrix,
    rows,
    columns,
    (wide, short, long) =>
      someOfGram(wide, [short, long], count, "smallest") ??
      someParts(allParts(wide, short, long), [short, long], short - count, count),
  );
  return signed(found, rows, columns);
}

/** All parts, for rows <= columns: of the Gram matrix, and by rotations where that is not exact enough. */
function allParts(matrix: ArrayLike<number>, rows: number, columns: number): SingularParts {
  const near = rows <= small ? undefined : nearlyAll(matrix, rows, columns);
  if (near?.isExact !== true) return byRotations(matrix, rows, columns, near);
  return fromLeft(matrix, [rows, columns], near.turns, rows, near.turned);
}

/** The largest few, by iterating a subspace that is a little wider (Halko, Martinsson and Tropp 2011, algorithm 4.4). */
function bySubspace(
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
    const parts = someParts(byRotations(back, width, columns), [width, columns], 0, count);
    const change = Math.max(
      ...parts.values.map((value, i) => Math.abs(value - (known[i] ?? 0)) / (value || 1)),
    );
    known = Float64Array.from(parts.values);
    if (change < 1e-13) {
      // back = images M, so that M is nearly images^T parts.
      const left = new Float64Array(rows * count);
      for (let row = 0; row < rows; row++) {
        for (let k = 0; k < width; k++) {
          const factor = images[k * rows + row] ?? 0;
          for (let i = 0; i < count; i++)
            left[row * count + i] = (left[row * count + i] ?? 0) + factor * (parts.left[k * count + i] ?? 0);
        }
      }
      return { left, values: parts.values, right: parts.right };
    }
    basis = orthonormalRows(back, width, columns);
  }
  return someParts(allParts(matrix, rows, columns), [rows, columns], 0, count);
}

/** Gram-Schmidt with one repetition for accuracy, in place. */
export function orthonormalRows(x: Float64Array, rows: number, columns: number): Float64Array {
  for (let i = 0; i < rows; i++) {
    const own = x.subarray(i * columns, (i + 1) * columns);
    for (let round = 0; round < 2; round++) {
      for (let j = 0; j < i; j++) {
        const other = x.subarray(j * columns, (j + 1) * columns);
        const overlap = dot(own, other);
        for (let k = 0; k < columns; k++) own[k] = (own[k] ?? 0) - overlap * (other[k] ?? 0);
      }
    }
    const norm = Math.sqrt(dot(own, own));
    for (let k = 0; k < columns; k++) own[k] = norm > 0 ? (own[k] ?? 0) / norm : 0;
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
