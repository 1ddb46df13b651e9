/** EVA's ranks: all modules together have as much rank as before, given to the components with the largest shares of variance. */
import type { LinearSite } from "../../../src/analysis/sites.ts";
import type { Components } from "../init/inputs.ts";
import type { Options } from "./options.ts";

/** One linear module, however often it is called, with its own options. */
export interface Module {
  readonly site: LinearSite;
  readonly path: string;
  readonly o: Options;
}

/** Ranks by path (Paischer et al. 2024, section 3.3), none above `rho` times the module's own. */
export function shareRanks(
  modules: readonly Module[],
  components: ReadonlyMap<string, Components>,
  rho: number,
): Map<string, number> {
  const budget = modules.reduce((sum, { o }) => sum + o.r, 0);
  const shares = modules.flatMap(({ path, o }) =>
    (components.get(path)?.shares ?? []).slice(0, Math.round(o.r * rho)).map((share) => ({ path, share })),
  );
  const ranks = new Map(modules.map(({ path }) => [path, 0]));
  for (const { path } of shares.sort((a, b) => b.share - a.share).slice(0, budget))
    ranks.set(path, (ranks.get(path) ?? 0) + 1);
  return ranks;
}
