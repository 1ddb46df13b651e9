/** PiSSA: A and B start with the largest singular parts of the weight. */
import { weightElements } from "../../../src/adapt/base-weight.ts";
import { seedFor } from "../../../src/adapt/initializers.ts";
import { drawNormal, TorchGenerator } from "../../../src/adapt/torch-random.ts";
import type { LinearSite } from "../../../src/analysis/sites.ts";
import { KeptByWeight } from "../parts/kept.ts";
import type { SingularParts } from "../parts/singular-parts.ts";
import { singularParts } from "../parts/svd.ts";
import { randomParts } from "../parts/svd-random.ts";
import type { FactorStart } from "./start.ts";

const kept = new KeptByWeight<SingularParts>();

/**
 * A = sqrt(S/s) V^T and B = U sqrt(S/s) of the `r` largest singular values (Meng et al. 2024, equations 2 and 3).
 *
 * @param scaling the factor s before BA.
 * @param rounds power iterations of a random search (Halko et al. 2011) in place of the exact decomposition.
 */
export function principalStart(site: LinearSite, r: number, scaling: number, rounds?: number): FactorStart {
  const { outFeatures: rows, inFeatures: columns } = site;
  const parts = kept.for(site, `${r} ${rounds}`, () => {
    const weight = weightElements(site);
    return rounds === undefined
      ? singularParts(weight, rows, columns, r)
      : randomParts(weight, [rows, columns], r, {
          rounds,
          start: drawNormal(new TorchGenerator(seedFor(0, site.path)), Math.max(16, r * columns), 1),
        });
  });
  const root = (i: number): number => Math.sqrt((parts().values[i] ?? 0) / scaling);
  return {
    A: () => Float32Array.from(parts().right, (value, at) => value * root(Math.floor(at / columns))),
    B: () => Float32Array.from(parts().left, (value, at) => value * root(at % r)),
    trainsB: true,
    isTaken: true,
  };
}
