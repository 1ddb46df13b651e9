/** Combining low-rank factors of several adapters into one pair: side by side, tensor by tensor, or by decomposing their sum. */
import { type CombinationType, type CombineContext, kindOf } from "../../../src/adapt/combination.ts";
import { combineTensors, type TaskRule } from "../../../src/adapt/task-arithmetic.ts";
import { countElements } from "../../../src/ir/shape.ts";
import { fromNumbers, type NDArray } from "../../../src/ops/ndarray.ts";
import { singularParts } from "./svd.ts";

/** A (r, ...) and B (out, r, 1...) of an update `scaling` B A that counts `weight` times. */
export interface WeightedFactors {
  readonly A: NDArray;
  readonly B: NDArray;
  readonly scaling: number;
  readonly weight: number;
}

/** Row-major matrices: A (rank, inner), B (outer, rank). */
interface Matrices {
  readonly A: Float64Array;
  readonly B: Float64Array;
  readonly rank: number;
}

/** Rank of the result; a reason where these ranks cannot be combined so. */
export function combinedRank(
  ranks: readonly number[],
  { type, svd_rank }: { readonly type: CombinationType; readonly svd_rank?: number | undefined },
): number | string {
  const largest = Math.max(...ranks);
  const on = kindOf(type).on;
  if (on === "ranks") return ranks.reduce((sum, rank) => sum + rank, 0);
  if (on === "update") return svd_rank ?? largest;
  if (ranks.every((rank) => rank === largest)) return largest;
  return `their ranks ${ranks.join(" and ")} differ, which only cat and the types with svd take`;
}

/** Factors of rank `rank`, with zeros for ranks that are left; a reason where the parts do not fit together. */
export function combineFactors(
  parts: readonly WeightedFactors[],
  rank: number,
  { type, rule, clamp }: Pick<CombineContext<unknown>, "type" | "rule" | "clamp">,
): { A: NDArray; B: NDArray } | string {
  const [first] = parts;
  if (first === undefined) return "none of them adapts it";
  const [outer = 0, inputs = 0, ...window] = first.B.shape;
  const rest = first.A.shape.slice(1);
  const [own = 0] = first.A.shape;
  const on = kindOf(type).on;
  if (parts.some(({ A, B }) => A.shape.slice(1).join() !== rest.join() || B.shape[0] !== outer))
    return "its shape differs from one adapter to another";
  const grouped = own !== inputs;
  if (grouped && on !== "tensors") return "its convolution is grouped, and its ranks belong to groups";
  if (on === "tensors" && parts.some(({ A }) => A.shape[0] !== own))
    return "its rank differs from one adapter to another";
  if (grouped && own !== rank) return "its convolution is grouped, and others have a higher rank";
  const inner = countElements(rest);
  const sizes = { outer, inner };
  const made =
    on === "tensors"
      ? { ...tensorByTensor(parts, rule), rank: own }
      : on === "ranks"
        ? sideBySide(parts, sizes)
        : decomposed(parts, rule, { ...sizes, rank, clamp });
  const columns = grouped ? inputs : rank;
  return {
    A: fromNumbers("float32", [rank, ...rest], padded(made.A, rank * inner)),
    B: fromNumbers(
      "float32",
      [outer, columns, ...window],
      grouped ? made.B : widened(made.B, outer, made.rank, rank),
    ),
  };
}

/** Each factor by itself: B counts by the root of the weight, A by the root and its sign, or two signs would cancel. */
function tensorByTensor(
  parts: readonly WeightedFactors[],
  rule: TaskRule,
): { A: Float64Array; B: Float64Array } {
  const weights = parts.map(({ scaling, weight }) => scaling * weight);
  const root = (i: number): number => Math.sqrt(Math.abs(weights[i] ?? 0));
  const sign = (i: number): number => ((weights[i] ?? 0) < 0 ? -1 : 1);
  return {
    A: combineTensors(
      parts.map(({ A }, i) => ({ values: A.numbers, weight: root(i) * sign(i) })),
      rule,
    ),
    B: combineTensors(
      parts.map(({ B }, i) => ({ values: B.numbers, weight: root(i) })),
      rule,
    ),
  };
}

/** Ranks of all parts, one behind the other: the sum of the updates, exactly. */
function sideBySide(
  parts: readonly WeightedFactors[],
  { outer, inner }: { outer: number; inner: number },
): Matrices {
  const rank = parts.reduce((sum, { A }) => sum + (A.shape[0] ?? 0), 0);
  const [A, B] = [new Float64Array(rank * inner), new Float64Array(outer * rank)];
  let at = 0;
  for (const part of parts) {
    const own = part.A.shape[0] ?? 0;
    part.A.numbers.forEach((value, i) => {
      A[at * inner + i] = value * part.weight * part.scaling;
    });
    part.B.numbers.forEach((value, i) => {
      B[Math.floor(i / own) * rank + at + (i % own)] = value;
    });
    at += own;
  }
  return { A, B, rank };
}

/** The largest singular parts of the combined update: B = U S, A = V. */
function decomposed(
  parts: readonly WeightedFactors[],
  rule: TaskRule,
  { outer, inner, rank, clamp }: { outer: number; inner: number; rank: number; clamp: number | undefined },
): Matrices {
  const updates = parts.map((part) => ({ values: updateOf(part, outer, inner), weight: part.weight }));
  const count = Math.min(rank, outer, inner);
  const { left, values, right } = singularParts(combineTensors(updates, rule), outer, inner, count);
  const scaled = left.map((value, i) => value * (values[i % count] ?? 0));
  if (clamp === undefined) return { A: right, B: scaled, rank: count };
  const bound = quantile([...scaled, ...right], clamp);
  const cut = (value: number): number => Math.min(Math.max(value, -bound), bound);
  return { A: right.map(cut), B: scaled.map(cut), rank: count };
}

/** scaling B A, (outer, inner). */
function updateOf({ A, B, scaling }: WeightedFactors, outer: number, inner: number): Float64Array {
  const rank = A.shape[0] ?? 0;
  const [a, b] = [A.numbers, B.numbers];
  const update = new Float64Array(outer * inner);
  for (let row = 0; row < outer; row++) {
    for (let k = 0; k < rank; k++) {
      const factor = scaling * (b[row * rank + k] ?? 0);
      for (let column = 0; column < inner; column++)
        update[row * inner + column] =
          (update[row * inner + column] ?? 0) + factor * (a[k * inner + column] ?? 0);
    }
  }
  return update;
}

/** With linear interpolation between neighbours, as `torch.quantile` has it. */
function quantile(numbers: readonly number[], share: number): number {
  const sorted = Float64Array.from(numbers).sort();
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const [low = 0, high = low] = [sorted[below], sorted[below + 1]];
  return low + (high - low) * (place - below);
}

function padded(values: Float64Array, size: number): Float64Array {
  const result = new Float64Array(size);
  result.set(values);
  return result;
}

/** (rows, from) as (rows, to). */
function widened(values: Float64Array, rows: number, from: number, to: number): Float64Array {
  if (from === to) return values;
  const result = new Float64Array(rows * to);
  for (let row = 0; row < rows; row++) result.set(values.subarray(row * from, (row + 1) * from), row * to);
  return result;
}
