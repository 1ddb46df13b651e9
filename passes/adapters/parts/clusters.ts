/** k-means as scikit-learn runs it from rows chosen at random, for groups of rows that checkpoints do not hold. */
import { legacyChoice } from "../../../src/adapt/numpy-random.ts";

/** Part of the mean variance that centres may move in a round of the last kind. */
const tolerance = 1e-4;

/**
 * The group of each row, as `KMeans(count, init="random", n_init=1, max_iter=rounds, random_state=seed).fit_predict` gives it.
 * Arithmetic is in float64, that of scikit-learn in the type of the rows: of rows about as near to two centres, the two may differ.
 *
 * @param points (rows, columns), row-major.
 */
export function clusterRows(
  points: Float64Array,
  columns: number,
  { count, rounds, seed }: { readonly count: number; readonly rounds: number; readonly seed: number },
): Int32Array {
  const rows = points.length / columns;
  const { centred, variance } = withoutMean(points, rows, columns);
  const row = (at: number): Float64Array => centred.subarray(at * columns, (at + 1) * columns);
  let centres = legacyChoice(seed, rows, count).map((at) => Float64Array.from(row(at)));
  let labels = new Int32Array(rows).fill(-1);
  const nearest = (): Int32Array<ArrayBuffer> =>
    Int32Array.from({ length: rows }, (_, at) => nearestOf(row(at), centres));
  for (let round = 0; round < rounds; round++) {
    const now = nearest();
    const moved = meansOf(row, now, centres);
    const shift = moved.reduce((sum, centre, i) => sum + distance(centre, centres[i] ?? centre), 0);
    centres = moved;
    if (now.every((label, at) => label === labels[at])) return now;
    labels = now;
    if (shift <= tolerance * variance) break;
  }
  return nearest();
}

/** Rows without their mean, and the mean over columns of the variance. */
function withoutMean(
  points: Float64Array,
  rows: number,
  columns: number,
): { readonly centred: Float64Array; readonly variance: number } {
  const mean = new Float64Array(columns);
  points.forEach((value, at) => {
    mean[at % columns] = (mean[at % columns] ?? 0) + value / rows;
  });
  const centred = points.map((value, at) => value - (mean[at % columns] ?? 0));
  return { centred, variance: centred.reduce((sum, value) => sum + value * value, 0) / points.length };
}

function distance(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + (value - (b[i] ?? 0)) ** 2, 0);
}

/** The first of the nearest centres. */
function nearestOf(point: Float64Array, centres: readonly Float64Array[]): number {
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  for (const [i, centre] of centres.entries()) {
    const own = distance(point, centre);
    if (own < least) [best, least] = [i, own];
  }
  return best;
}

/** Means of the groups. A group without rows gets one: that which is farthest from its own centre. */
function meansOf(
  row: (at: number) => Float64Array,
  labels: Int32Array,
  centres: readonly Float64Array[],
): Float64Array<ArrayBuffer>[] {
  const sums = centres.map((centre) => new Float64Array(centre.length));
  const sizes = centres.map(() => 0);
  const move = (at: number, group: number, sign: 1 | -1): void => {
    const sum = sums[group];
    row(at).forEach((value, i) => {
      if (sum !== undefined) sum[i] = (sum[i] ?? 0) + sign * value;
    });
    sizes[group] = (sizes[group] ?? 0) + sign;
  };
  labels.forEach((group, at) => {
    move(at, group, 1);
  });
  const empty = sizes.flatMap((size, group) => (size === 0 ? [group] : []));
  if (empty.length > 0) {
    const away = Array.from(labels, (group, at) => distance(row(at), centres[group] ?? row(at)));
    const farthest = away.map((_, at) => at).sort((i, j) => (away[j] ?? 0) - (away[i] ?? 0));
    for (const [i, group] of empty.entries()) {
      const at = farthest[i] ?? 0;
      if ((away[farthest[0] ?? 0] ?? 0) === 0) break;
      move(at, labels[at] ?? 0, -1);
      move(at, group, 1);
    }
  }
  return sums.map((sum, group) =>
    (sizes[group] ?? 0) > 0 ? sum.map((value) => value / (sizes[group] ?? 1)) : sum,
  );
}
