/** MiCA: B is made of the smallest left singular vectors of the weight and stays, A starts at zero. */
import { weightElements } from "../../../src/adapt/base-weight.ts";
import { filled } from "../../../src/adapt/initializers.ts";
import type { EmbeddingSite, LinearSite } from "../../../src/analysis/sites.ts";
import { KeptByWeight } from "../parts/kept.ts";
import type { SingularParts } from "../parts/singular-parts.ts";
import { smallestParts } from "../parts/svd.ts";
import type { FactorStart } from "./start.ts";

const kept = new KeptByWeight<SingularParts>();

/** The `r` smallest directions of what a module yields; a table yields its rows, so that there they are right vectors. */
export function minorStart(site: LinearSite | EmbeddingSite, r: number): FactorStart {
  const [rows, columns] =
    site.kind === "linear" ? [site.outFeatures, site.inFeatures] : [site.rows, site.width];
  const parts = kept.for(site, String(r), () => smallestParts(weightElements(site), rows, columns, r));
  const vectors = (): Float32Array<ArrayBuffer> => {
    const { left, right } = parts();
    if (site.kind === "linear") return Float32Array.from(left);
    return Float32Array.from(
      { length: columns * r },
      (_, at) => right[(at % r) * columns + Math.floor(at / r)] ?? 0,
    );
  };
  return { A: filled(0), B: vectors, trainsB: false, isTaken: false };
}
