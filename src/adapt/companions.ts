/** Methods that come along with another one, such as trained tokens beside LoRA: which sites are whose. */
import type { Site } from "../analysis/sites.ts";
import { linkTied } from "../analysis/tied-sites.ts";
import type { BoundAdapter } from "./define.ts";
import { keyOf } from "./parameters.ts";
import { ownerPath } from "./select.ts";

/** A method with the sites that are its own. */
export interface Share {
  readonly adapter: BoundAdapter;
  readonly sites: readonly Site[];
}

/** The adapted sites by the method whose tensors there are; those of no companion are the method's. */
export function sharesOf(
  adapter: BoundAdapter,
  sites: readonly Site[],
  tensors: { has(key: string): boolean },
): Share[] {
  const left = new Set(sites);
  const shares = adapter.companions.map((companion): Share => {
    const linked = companion.tied === "none" ? sites : linkTied(sites);
    const open = linked.filter((site) => companion.accepts(site) === true);
    const own = open.filter((site) => holds(companion, site, open, tensors));
    sites.forEach((site, i) => {
      const same = linked[i];
      if (same !== undefined && own.includes(same)) left.delete(site);
    });
    return { adapter: companion, sites: own };
  });
  const rest = [...left];
  return [{ adapter, sites: adapter.tied === "none" ? rest : linkTied(rest) }, ...shares];
}

function holds(
  adapter: BoundAdapter,
  site: Site,
  sites: readonly Site[],
  tensors: { has(key: string): boolean },
): boolean {
  return Object.values(adapter.parameters(site, sites)).every((spec) =>
    tensors.has(keyOf(spec, ownerPath(site))),
  );
}
