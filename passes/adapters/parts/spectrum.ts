/** Trained coefficients at random places of a transformed update, as FourierFT and WaveFT have them. */
import { z } from "zod";
import { byPattern, matchPattern } from "../../../src/adapt/targets.ts";
import { randomPermutation, TorchGenerator } from "../../../src/adapt/torch-random.ts";
import type { LinearSite } from "../../../src/analysis/sites.ts";

/** Options of the places, under PEFT's names. */
export const placeOptions = {
  random_loc_seed: z
    .int()
    .nonnegative()
    .default(777)
    .describe("seed of the places of the coefficients, which checkpoints do not hold"),
  n_frequency_pattern: byPattern(z.int().min(1))
    .default({})
    .describe("n_frequency by regular expression over the end of a path"),
};

interface Places {
  readonly n_frequency: number;
  readonly random_loc_seed: number;
}

/** Row and column of each coefficient, drawn as PEFT draws them. */
export function placesOf({ inFeatures, outFeatures }: LinearSite, o: Places): (readonly [number, number])[] {
  const size = outFeatures * inFeatures;
  const places = randomPermutation(new TorchGenerator(o.random_loc_seed), size, o.n_frequency);
  return Array.from(places, (place) => [Math.floor(place / inFeatures), place % inFeatures] as const);
}

/** A reason where the weight has fewer elements than coefficients are wanted. */
export function refuseTooMany({ inFeatures, outFeatures }: LinearSite, o: Places): true | string {
  return o.n_frequency <= outFeatures * inFeatures
    ? true
    : `n_frequency ${o.n_frequency} is more than the elements of its weight`;
}

/** Options as they hold for one path. */
export function withFrequencyOf<
  O extends Places & { readonly n_frequency_pattern: Readonly<Record<string, number>> },
>(o: O, path: string): O {
  return { ...o, n_frequency: matchPattern(o.n_frequency_pattern, path) ?? o.n_frequency };
}
