/** Weights that lose a product of factors, or give way to others: what initialisers and variants change of the base model. */
import type { Value } from "../../../src/ir/value.ts";
import type { Params } from "../parts/factors.ts";
import { deltaOf, updateOf } from "./factors.ts";
import type { LoraContext, LoraMergeContext } from "./variant.ts";

/** The module as if its weight were W - s takenB takenA, or the one in its place. */
export function withTaken(context: LoraContext): LoraContext {
  const { base: own } = context.params;
  if (own !== undefined) return withBase(context, own);
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

/** The module with another weight. */
function withBase(context: LoraContext, own: Value): LoraContext {
  return {
    ...context,
    y: context.base(context.x, { weight: own }),
    weight: () => own,
    base: (input, weights = {}) => context.base(input, { weight: own, ...weights }),
  };
}

/** The same for merging. */
export function withTakenWeight(context: LoraMergeContext): LoraMergeContext {
  if (context.params.base !== undefined) return { ...context, weight: context.params.base };
  const taken = takenOf(context.params);
  if (taken === undefined) return context;
  const { site, weight, options: o, b } = context;
  return { ...context, weight: b.sub(weight, deltaOf(site, taken, o, b)) };
}

function takenOf({ takenA: A, takenB: B }: Params): Params | undefined {
  return A === undefined || B === undefined ? undefined : { A, B };
}
