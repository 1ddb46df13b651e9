/** LoRA's orthogonal initialisation: both factors random, their product zero. */
import { type Initializer, seedFor } from "../../../src/adapt/initializers.ts";

/**
 * A = (R1 Q_odd)^T / 10 and B = R2^T Q_even / 10, where Q_odd and Q_even are alternate rows of one orthogonal matrix of
 * size r, so that B A = 0 although neither is. Q depends on `path` only, since both factors must draw the same one.
 *
 * @param r even rank
 */
export function orthogonalPair(
  r: number,
  inFeatures: number,
  outFeatures: number,
  path: string,
): [Initializer, Initializer] {
  const rows = orthogonalRows(r, seedFor(0, path));
  const half = (parity: number): readonly Float64Array[] => rows.filter((_, i) => i % 2 === parity);
  // A is (r, in), B is (out, r): the same product, read by columns or by rows.
  const initA: Initializer = (_, random) =>
    transposed(randomTimes(half(1), inFeatures, random.normal.bind(random)), inFeatures, r);
  const initB: Initializer = (_, random) => randomTimes(half(0), outFeatures, random.normal.bind(random));
  return [initA, initB];
}

/** (count, r/2) normal matrix times the given r/2 rows, over 10; row-major (count, r). */
function randomTimes(
  rows: readonly Float64Array[],
  count: number,
  draw: () => number,
): Float32Array<ArrayBuffer> {
  const width = rows[0]?.length ?? 0;
  const result = new Float32Array(count * width);
  for (let i = 0; i < count; i++) {
    const sum = new Float64Array(width);
    for (const row of rows) {
      const factor = draw();
      row.forEach((value, j) => {
        sum[j] = (sum[j] ?? 0) + factor * value;
      });
    }
    sum.forEach((value, j) => {
      result[i * width + j] = value / 10;
    });
  }
  return result;
}

function transposed(matrix: Float32Array, rows: number, columns: number): Float32Array<ArrayBuffer> {
  return Float32Array.from(matrix, (_, at) => matrix[(at % rows) * columns + Math.floor(at / rows)] ?? 0);
}

/** Rows of a random orthogonal matrix, by Gram-Schmidt with one repetition for accuracy. */
function orthogonalRows(size: number, seed: number): Float64Array[] {
  const draw = xorshift(seed);
  const rows: Float64Array[] = [];
  while (rows.length < size) {
    const row = Float64Array.from({ length: size }, () => draw() - 0.5);
    for (let round = 0; round < 2; round++) {
      for (const other of rows) {
        const overlap = row.reduce((sum, value, j) => sum + value * (other[j] ?? 0), 0);
        for (let j = 0; j < size; j++) row[j] = (row[j] ?? 0) - overlap * (other[j] ?? 0);
      }
    }
    const length = Math.hypot(...row);
    if (length > 1e-6) rows.push(row.map((value) => value / length));
  }
  return rows;
}

/** Marsaglia's 32-bit xorshift, uniform in [0, 1). */
function xorshift(seed: number): () => number {
  let state = seed === 0 ? 0x9e3779b9 : seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
