/** Pairs of low-rank factors among trained tensors: A (r, in) and B (out, r) of one module. */
import { inlineTensor } from "../../../src/ir/constant.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import type { FlatLayout } from "../../../src/training/flat-layout.ts";
import type { FlatSlice } from "../../../src/training/flatten.ts";
import { inverseWithoutGradient } from "../../adapters/parts/inverse.ts";

/** Groups of the factors of linear modules, as methods name them. */
export const factorGroups = { A: "lora_A", B: "lora_B" } as const;

/** Places of both factors among the slices of a layout. */
export interface FactorPair {
  readonly a: number;
  readonly b: number;
  readonly rank: number;
}

/** All pairs of matrices. Factors of convolutions, and a bias of B, are none. */
export function factorPairs(slices: readonly FlatSlice[]): FactorPair[] {
  return slices.flatMap(({ group, module, shape: [rank = 0, ...rest] }, a) => {
    if (group !== factorGroups.A || rest.length !== 1) return [];
    const b = slices.findIndex(
      (other) => other.group === factorGroups.B && other.module === module && other.shape.length === 2,
    );
    return b < 0 ? [] : [{ a, b, rank }];
  });
}

/** What to say where a layout has no pairs. */
export function withoutPairs(slices: readonly FlatSlice[]): { expected: string; got: string } | undefined {
  if (factorPairs(slices).length > 0) return undefined;
  return {
    expected: "factors A and B of low-rank updates of linear modules, as lora has them",
    got: `tensors such as "${slices[0]?.key ?? ""}"`,
  };
}

/**
 * (A A^T + damping I)^-1 of each matrix (r, width), in float32 but computed in float64: of factors that are all but
 * dependent float32 would lose the sign of the smallest eigenvalue.
 */
export function dampedInverses(
  b: OpBuilder,
  matrices: readonly Value[],
  damping: number,
  ranks: readonly number[],
): Value[] {
  const found = new Map<number, Value>();
  for (const rank of new Set(ranks)) {
    const places = ranks.flatMap((each, i) => (each === rank ? [i] : []));
    const grams = places.flatMap((place) => {
      const matrix = matrices[place];
      if (matrix === undefined) return [];
      const double = b.cast(matrix, "float64");
      return [b.unsqueeze(b.matmul(double, b.transpose(double, [1, 0])), [0])];
    });
    const [first] = grams;
    if (first === undefined) continue;
    const unit = Float64Array.from({ length: rank * rank }, (_, i) => (i % (rank + 1) === 0 ? damping : 0));
    const stacked = b.add(grams.length === 1 ? first : b.concat(grams, 0), float64(b, unit, rank));
    const inverses = b.cast(inverseWithoutGradient(stacked, places.length, rank, b), "float32");
    const parts =
      places.length === 1
        ? [inverses]
        : b.ops("Split", [inverses, b.ints(places.map(() => 1))], { axis: 0 }, places.length);
    places.forEach((place, i) => {
      const part = parts[i];
      if (part !== undefined) found.set(place, b.reshape(part, [rank, rank]));
    });
  }
  return matrices.flatMap((_, i) => found.get(i) ?? []);
}

function float64(b: OpBuilder, values: Float64Array<ArrayBuffer>, rank: number): Value {
  return b.constant(inlineTensor("float64", [rank, rank], new Uint8Array(values.buffer)), "damping");
}

/** A vector of gradients, some of whose tensors are replaced. */
export function withReplaced(
  b: OpBuilder,
  layout: FlatLayout,
  flat: Value,
  replaced: ReadonlyMap<number, (tensor: Value) => Value>,
): Value {
  return layout.map(b, flat, (tensor, _, i) => replaced.get(i)?.(tensor) ?? tensor);
}
