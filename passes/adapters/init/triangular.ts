/** OLoRA: A and B start with the first parts of the weight's QR decomposition. */
import { weightElements } from "../../../src/adapt/base-weight.ts";
import type { LinearSite } from "../../../src/analysis/sites.ts";
import { KeptByWeight } from "../parts/kept.ts";
import type { FactorStart } from "./start.ts";

/** The first columns of Q, and the first rows of R. */
interface LeadingQr {
  readonly Q: Float32Array<ArrayBuffer>;
  readonly R: Float32Array<ArrayBuffer>;
}

const kept = new KeptByWeight<LeadingQr>();

/** B = the first `r` columns of Q, A = the first `r` rows of R (Bueyuekakyuez 2024, section 3). */
export function triangularStart(site: LinearSite, r: number): FactorStart {
  const parts = kept.for(site, String(r), () =>
    leadingQr(weightElements(site), site.outFeatures, site.inFeatures, r),
  );
  return { A: () => parts().R, B: () => parts().Q, trainsB: true, isTaken: true };
}

/** First `count` columns of Q (rows, count) and rows of R (count, columns), by Gram-Schmidt with one repetition, in float64. */
function leadingQr(matrix: Float32Array, rows: number, columns: number, count: number): LeadingQr {
  const basis: Float64Array[] = [];
  for (let k = 0; k < count; k++) {
    const column = Float64Array.from({ length: rows }, (_, row) => matrix[row * columns + k] ?? 0);
    for (let round = 0; round < 2; round++)
      for (const known of basis) {
        const overlap = dot(known, column);
        for (let i = 0; i < rows; i++) column[i] = (column[i] ?? 0) - overlap * (known[i] ?? 0);
      }
    const norm = Math.sqrt(dot(column, column));
    basis.push(column.map((value) => (norm > 0 ? value / norm : 0)));
  }
  const R = new Float32Array(count * columns);
  basis.forEach((direction, k) => {
    const sums = new Float64Array(columns);
    for (let row = 0; row < rows; row++) {
      const factor = direction[row] ?? 0;
      for (let j = 0; j < columns; j++) sums[j] = (sums[j] ?? 0) + factor * (matrix[row * columns + j] ?? 0);
    }
    // Left of the diagonal R is zero.
    for (let j = k; j < columns; j++) R[k * columns + j] = sums[j] ?? 0;
  });
  const Q = Float32Array.from(
    { length: rows * count },
    (_, at) => basis[at % count]?.[Math.floor(at / count)] ?? 0,
  );
  return { Q, R };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
