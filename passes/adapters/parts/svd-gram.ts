/** Singular parts by eigenvectors of the Gram matrix, where the values are large enough for that; for rows <= columns. */
import { allPairs } from "./all-eigen.ts";
import { dot, gramOfRows, product, transposed } from "./dense.ts";
import type { SingularParts } from "./singular-parts.ts";
import { smallestPairs } from "./smallest-eigen.ts";

/** Below this part of the largest element of the Gram matrix, its eigenvectors say too little of those of the matrix. */
const smallestShare = 1e-9;

/** The `count` smallest or largest parts, by falling values; undefined where one of them is too small. */
export function someOfGram(
  matrix: ArrayLike<number>,
  [rows, columns]: readonly [number, number],
  count: number,
  end: "smallest" | "largest",
): SingularParts | undefined {
  const sign = end === "smallest" ? 1 : -1;
  const gram = gramOfRows(matrix, rows, columns);
  if (sign === -1) for (let i = 0; i < gram.length; i++) gram[i] = -(gram[i] ?? 0);
  const found = smallestPairs(gram, rows, count);
  const least = sign * (found?.values[sign === 1 ? 0 : count - 1] ?? 0);
  if (found === undefined || !(least > smallestShare * largestOf(gram))) return undefined;
  const vectors = new Float64Array(count * rows);
  found.vectors.forEach((vector, rising) => {
    vectors.set(vector, (sign === 1 ? count - 1 - rising : rising) * rows);
  });
  return fromLeft(matrix, [rows, columns], vectors, count);
}

/** All left vectors below each other, and what the matrix yields along each: nearly at right angles. */
export function nearlyAll(
  matrix: ArrayLike<number>,
  rows: number,
  columns: number,
): { readonly turns: Float64Array; readonly turned: Float64Array; readonly isExact: boolean } | undefined {
  const gram = gramOfRows(matrix, rows, columns);
  const found = allPairs(gram, rows);
  if (found === undefined) return undefined;
  const turned = product(found.vectors, rows, matrix, rows, columns);
  return {
    turns: found.vectors,
    turned,
    isExact: (found.values.at(-1) ?? 0) > smallestShare * largestOf(gram),
  };
}

/** Parts from left vectors, one below the other: values and right vectors are of u^T M. */
export function fromLeft(
  matrix: ArrayLike<number>,
  [rows, columns]: readonly [number, number],
  vectors: Float64Array,
  count: number,
  turned: Float64Array = product(vectors, count, matrix, rows, columns),
): SingularParts {
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const image = turned.subarray(i * columns, (i + 1) * columns);
    const value = Math.sqrt(dot(image, image));
    values[i] = value;
    for (let k = 0; k < columns; k++) image[k] = (image[k] ?? 0) / value;
  }
  return { left: transposed(vectors, count, rows), values, right: turned };
}

function largestOf(matrix: Float64Array): number {
  return matrix.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}
