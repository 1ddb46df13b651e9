/** Weights that lose a product of factors: what initialisers and variants change of the base model, without a copy of it. */
import type { Params } from "../parts/factors.ts";
import { deltaOf, updateOf } from "./factors.ts";
import type { LoraContext, LoraMergeContext } from "./variant.ts";

/** The module as if its weight were W - s takenB takenA. */
export function withTaken(context: LoraContext): LoraContext {
  const taken = takenOf(context.params);
  if (taken === undefined) return context;
  const { site, x, options: o, b } = context;
  return {
    ...context,
    y: b.sub(context.y, updateOf(site, x, taken, o, b)),
    weight: () => b.sub(context.weight(), deltaOf(site, taken, o, b)),
    base: (input, weights = {}) =>
      weights.weight !== undefined
        ? context.base(input, weights)
        : b.sub(context.base(input, weights), updateOf(site, input, taken, o, b)),
  };
}

/** The same for merging. */
export function withTakenWeight(context: LoraMergeContext): LoraMergeContext {
  const taken = takenOf(context.params);
  if (taken === undefined) return context;
  const { site, weight, options: o, b } = context;
  return { ...context, weight: b.sub(weight, deltaOf(site, taken, o, b)) };
}

function takenOf({ takenA: A, takenB: B }: Params): Params | undefined {
  return A === undefined || B === undefined ? undefined : { A, B };
}
