/** The subspaces of a weight: directions of its largest singular parts, and groups of its rows, as AdaMSS finds them. */
import { biasElements, weightElements } from "../../../src/adapt/base-weight.ts";
import { drawNormal, TorchGenerator } from "../../../src/adapt/torch-random.ts";
import type { LinearSite } from "../../../src/analysis/sites.ts";
import { clusterRows } from "./clusters.ts";
import { transposed } from "./dense.ts";
import { KeptByWeight } from "./kept.ts";
import type { SingularParts } from "./singular-parts.ts";
import { singularParts } from "./svd.ts";
import { randomParts } from "./svd-random.ts";

export interface SubspaceOptions {
  readonly r: number;
  readonly num_subspaces: number;
  readonly subspace_rank: number;
  readonly use_dynamic_rank: boolean;
  readonly svd_threshold: number;
  readonly random_seed: number;
}

/** Rows of the weight that one pair of factors writes to. */
export interface Subspace {
  readonly rows: readonly number[];
  readonly rank: number;
  /** Orthonormal rows, (rank, directions): the main directions of these rows of the left singular vectors. */
  readonly start: Float64Array;
}

export interface Subspaces {
  /** Right singular vectors of [W b], or of W where there is no bias: (directions, width). */
  readonly directions: Float64Array;
  readonly count: number;
  readonly width: number;
  readonly groups: readonly Subspace[];
}

/** Seed and rounds of the clustering in PEFT. */
const clustering = { seed: 123_456_789, rounds: 10 } as const;

const kept = new KeptByWeight<Subspaces>();

/** Number of inputs, with the one of the bias. */
export function widthOf({ inFeatures, bias }: LinearSite): number {
  return inFeatures + (bias === undefined ? 0 : 1);
}

/** The subspaces of a module, found once for a weight. */
export function subspacesOf(site: LinearSite, o: SubspaceOptions): Subspaces {
  const { r, num_subspaces, subspace_rank, use_dynamic_rank, svd_threshold, random_seed } = o;
  const facts = [r, num_subspaces, subspace_rank, use_dynamic_rank, svd_threshold, random_seed];
  return kept.for(site, `${site.path} ${facts}`, () => find(site, o))();
}

function find(site: LinearSite, o: SubspaceOptions): Subspaces {
  const { outFeatures: rows } = site;
  const width = widthOf(site);
  const count = Math.min(o.r, rows, width);
  const { left, right } = lowRankParts(withBias(site), [rows, width], count, o.random_seed);
  const labels = clusterRows(left, count, { ...clustering, count: Math.min(o.num_subspaces, rows) });
  const groups = Array.from({ length: Math.max(...labels) + 1 }, (_, group) =>
    Array.from(labels.keys()).filter((row) => labels[row] === group),
  );
  return {
    directions: right,
    count,
    width,
    groups: groups.filter((group) => group.length > 0).map((group) => subspace(left, count, group, o)),
  };
}

/** [W b], row-major. */
function withBias(site: LinearSite): Float32Array {
  const weight = weightElements(site);
  if (site.bias === undefined) return weight;
  const { inFeatures, outFeatures } = site;
  const width = inFeatures + 1;
  const bias = biasElements(site);
  return Float32Array.from({ length: outFeatures * width }, (_, at) => {
    const [row, column] = [Math.floor(at / width), at % width];
    return (column < inFeatures ? weight[row * inFeatures + column] : bias[row]) ?? 0;
  });
}

/** `torch.svd_lowrank(matrix, q=count, niter=2)` behind `torch.manual_seed(seed)`, but for signs. */
export function lowRankParts(
  matrix: Float32Array,
  [rows, columns]: readonly [number, number],
  count: number,
  seed: number,
): Pick<SingularParts, "left" | "right"> {
  const [long, short] = [Math.max(rows, columns), Math.min(rows, columns)];
  // All directions are found wherever the search starts.
  if (count === short) return singularParts(matrix, rows, columns, count);
  const drawn = drawNormal(new TorchGenerator(seed), Math.max(16, short * count), 1);
  const tall = rows >= columns;
  const start = transposed(drawn, short, count);
  const parts = randomParts(tall ? matrix : transposed(matrix, rows, columns), [long, short], count, {
    rounds: 2,
    start,
  });
  if (tall) return parts;
  return { left: transposed(parts.right, count, rows), right: transposed(parts.left, columns, count) };
}

function subspace(left: Float64Array, count: number, rows: readonly number[], o: SubspaceOptions): Subspace {
  const own = Float64Array.from(
    { length: rows.length * count },
    (_, at) => left[(rows[Math.floor(at / count)] ?? 0) * count + (at % count)] ?? 0,
  );
  const all = Math.min(rows.length, count);
  const { values, right } = singularParts(own, rows.length, count, all);
  const largest = values[0] ?? 0;
  // Eigenvalues of the rows' products are squares of singular values.
  const above = Array.from(values).filter((value) => value ** 2 > o.svd_threshold * largest ** 2).length;
  const wanted = o.use_dynamic_rank ? Math.min(above, o.subspace_rank) : o.subspace_rank;
  const rank = Math.max(1, Math.min(wanted, all));
  return { rows, rank, start: right.slice(0, rank * count) };
}
