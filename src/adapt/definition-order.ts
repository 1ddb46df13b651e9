/** The order in which PyTorch defines modules, for methods whose numbering of modules follows it. */
import type { Site } from "../analysis/sites.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import type { Value } from "../ir/value.ts";
import { basePath } from "./select.ts";

/**
 * Paths of the modules of some sites in the order in which PyTorch defines them. Exporters keep it in the order of the initializers
 * that still have a parameter's name, such as biases. Where folding has renamed all of a module's, the order of execution has to
 * do, which is the same unless a model calls its modules in another order than it lists them.
 *
 * @param method what numbers the modules, for messages.
 * @throws DiagnosticError `E_MODULE_ORDER` where the named modules show that the orders differ, and others have no name.
 */
export function definitionOrder(sites: readonly Site[], method: string): string[] {
  const modules = [...new Map(sites.map((site) => [basePath(site), site])).values()];
  const graph = modules.flatMap(({ weight }) => weight.value.graph ?? [])[0];
  const places = new Map([...(graph?.initializers ?? [])].map((value, place) => [value, place]));
  const ranked = modules.map((site) => ({ path: basePath(site), rank: rankOf(site, places) }));
  const named = ranked.filter(({ rank }) => rank >= 0);
  const swapped = named.findIndex(({ rank }, i) => rank < (named[i - 1]?.rank ?? -1));
  if (swapped < 0) return ranked.map(({ path }) => path);
  const nameless = ranked.find(({ rank }) => rank < 0);
  if (nameless !== undefined)
    throw adaptErrors.E_MODULE_ORDER(
      method,
      named[swapped]?.path ?? "",
      named[swapped - 1]?.path ?? "",
      nameless.path,
    );
  return ranked.sort((left, right) => left.rank - right.rank).map(({ path }) => path);
}

/** Place among the initializers of the first parameter that has the module's name; -1 where none has. */
function rankOf(site: Site, places: ReadonlyMap<Value, number>): number {
  const known = [site.weight, site.bias].flatMap((parameter) => {
    const place = parameter === undefined ? undefined : places.get(parameter.value);
    return place !== undefined && parameter?.value.name.startsWith(`${basePath(site)}.`) ? [place] : [];
  });
  return known.length === 0 ? -1 : Math.min(...known);
}
