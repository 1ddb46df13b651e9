/** Chooses the sites that a method adapts, and says why where there is none. */
import type { AnySite, Site } from "../analysis/sites.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import { nearNames } from "../diagnostics/define.ts";
import type { BoundAdapter } from "./define.ts";
import { isAllLinear, isSaved, isTargeted, matchesNames, type TargetOptions } from "./targets.ts";

/** What the choice of sites depends on beside the options. */
export interface SelectContext {
  /** Every site of the model. */
  readonly sites: readonly Site[];
  /** Site that makes the logits, which `all-linear` leaves out. */
  readonly head: Site | undefined;
  /** Name of the model in messages. */
  readonly model: string;
}

/** The chosen sites, with what the user should be told about the choice. */
export interface Selection {
  readonly sites: readonly Site[];
  readonly remarks: readonly string[];
}

/**
 * Sites that the method adapts, in execution order.
 *
 * @throws DiagnosticError `E_NO_SITES`, `E_TARGET_MISSING`, `E_TARGET_NOT_FOUND`, `E_TARGET_ALL_EXCLUDED`, `E_SITE_REFUSED`.
 */
export function selectSites(
  adapter: BoundAdapter,
  options: TargetOptions,
  context: SelectContext,
): Selection {
  const { sites, model } = context;
  const paths = [...new Set(sites.map((site) => site.path))];
  if (sites.length === 0) throw adaptErrors.E_NO_SITES(model);
  const targets = options.target_modules;
  if (targets === null || targets.length === 0) throw adaptErrors.E_TARGET_MISSING(paths);
  const saved = options.modules_to_save ?? [];
  const isFree = (site: Site): boolean => !isInsideSaved(saved, site.path);
  if (isAllLinear(targets)) return selectAllLinear(adapter, options, context, isFree);

  const label = typeof targets === "string" ? targets : targets.join(", ");
  const matched = sites.filter((site) => isTargeted(options, basePath(site)));
  if (matched.length === 0) {
    const ignoringExclusion = sites.filter((site) =>
      isTargeted({ ...options, exclude_modules: null }, basePath(site)),
    );
    if (ignoringExclusion.length > 0)
      throw adaptErrors.E_TARGET_ALL_EXCLUDED(label, String(options.exclude_modules));
    throw adaptErrors.E_TARGET_NOT_FOUND(label, nearTargets([targets].flat(), paths), paths);
  }
  const free = matched.filter(isFree);
  if (free.length === 0) throw adaptErrors.E_TARGET_ALL_EXCLUDED(label, saved.join(", "));
  for (const site of free) {
    const verdict = adapter.accepts(site);
    if (verdict !== true) throw adaptErrors.E_SITE_REFUSED(site.path, adapter.name, verdict, adapter.sites);
  }
  return { sites: free, remarks: [] };
}

function selectAllLinear(
  adapter: BoundAdapter,
  options: TargetOptions,
  { sites, head, model }: SelectContext,
  isFree: (site: Site) => boolean,
): Selection {
  const excluded = options.exclude_modules;
  const open = sites.filter(
    (site) =>
      isFree(site) &&
      !(excluded !== null && matchesNames(excluded, basePath(site))) &&
      adapter.accepts(site) === true,
  );
  const linear = open.filter((site) => site.kind === "linear");
  const inner = linear.filter((site) => site !== head && basePath(site) !== (head && basePath(head)));
  if (inner.length > 0) return { sites: inner, remarks: [] };
  const convolutions = open.filter((site) => site.kind === "conv");
  if (convolutions.length > 0) {
    return {
      sites: convolutions,
      remarks: ["all-linear: the model has no linear layer but its head; its convolutions are adapted"],
    };
  }
  if (linear.length > 0)
    return { sites: linear, remarks: ["all-linear: only the head is left, so the head is adapted"] };
  throw adaptErrors.E_NO_SITES(model);
}

/** Path without the number that tells several calls of one module apart. */
export function basePath(site: AnySite): string {
  return site.path.replace(/#\d+$/, "");
}

/** Path under which a site's tensors stand: that of the embedding for an output layer that is adapted with it. */
export function ownerPath(site: AnySite): string {
  const tiedTo = "tiedTo" in site ? site.tiedTo : undefined;
  return tiedTo ?? basePath(site);
}

/** Whether a path lies in a module that is saved whole, the module itself included. */
export function isInsideSaved(saved: readonly string[], path: string): boolean {
  const segments = path.split(".");
  return saved.length > 0 && segments.some((_, i) => isSaved(saved, segments.slice(0, i + 1).join(".")));
}

function nearTargets(targets: readonly string[], paths: readonly string[]): string[] {
  const suffixes = new Set(paths.flatMap((path) => [path, path.slice(path.lastIndexOf(".") + 1)]));
  return [...new Set(targets.flatMap((target) => nearNames(target, suffixes)))].slice(0, 5);
}
