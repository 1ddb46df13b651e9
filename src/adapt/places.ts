/** Chooses the places that a method changes: modules by name, or token streams and blocks by what they are. */
import { z } from "zod";
import { type AttentionSite, findAttention } from "../analysis/attention-sites.ts";
import { type BlockSite, findBlocks } from "../analysis/decoder-blocks.ts";
import type { AnySite, Site } from "../analysis/sites.ts";
import { linkTied } from "../analysis/tied-sites.ts";
import { findStreams, type PromptSite } from "../analysis/token-streams.ts";
import { adaptErrors } from "../diagnostics/adapt.ts";
import type { Graph } from "../ir/graph.ts";
import type { Share } from "./companions.ts";
import type { BoundAdapter } from "./define.ts";
import type { AttentionStructure, BlockStructure, PromptStructure } from "./define-structure.ts";
import { basePath, type SelectContext, selectSites } from "./select.ts";
import { type TargetOptions, targetOptions } from "./targets.ts";

const targeting = z.looseObject(targetOptions);

/** What a method is attached to. `streams` are all token streams of the model. */
export type Places =
  | {
      readonly kind: "modules";
      readonly sites: readonly Site[];
      readonly remarks: readonly string[];
      readonly companions: readonly Share[];
    }
  | (Structural<PromptSite> & { readonly kind: "prompt"; readonly method: PromptStructure })
  | (Structural<AttentionSite> & { readonly kind: "attention"; readonly method: AttentionStructure })
  | (Structural<BlockSite> & { readonly kind: "block"; readonly method: BlockStructure });

interface Structural<T extends AnySite> {
  readonly sites: readonly T[];
  readonly streams: readonly PromptSite[];
  readonly remarks: readonly string[];
}

/**
 * Places of a prepared graph that the method is attached to.
 *
 * @throws DiagnosticError as {@link selectSites}; `E_NO_PROMPT`, `E_NO_ATTENTION` and `E_NO_BLOCKS` where the structure is not there.
 */
export function choosePlaces(
  graph: Graph,
  adapter: BoundAdapter,
  targets: TargetOptions,
  context: SelectContext,
): Places {
  const method = adapter.structure;
  if (method === undefined && adapter.sites.length === 0)
    return { kind: "modules", sites: [], remarks: tiedRemarks(adapter, context.sites), companions: [] };
  if (method === undefined) {
    // No module at all, where something else is adapted.
    const onlyCompanions = targets.target_modules?.length === 0 && adapter.companions.length > 0;
    const selection = onlyCompanions ? { sites: [], remarks: [] } : selectSites(adapter, targets, context);
    const sites = withTied(adapter, selection.sites, context.sites);
    const companions = adapter.companions.map((each) => companionPlaces(graph, each, context));
    return { kind: "modules", ...selection, sites, companions };
  }
  const { sites } = context;
  const streams = findStreams(graph, sites);
  if (method.kind === "prompt") {
    const chosen = streams.length === 0 ? "" : method.choose(streams);
    if (typeof chosen === "string") {
      const tables = sites.filter(({ kind }) => kind === "embedding").map(({ path }) => path);
      throw adaptErrors.E_NO_PROMPT(adapter.name, chosen === "" ? tables : [chosen]);
    }
    return { kind: "prompt", method, sites: chosen, streams, remarks: [] };
  }
  const search = findAttention(graph, sites, streams);
  if (method.kind === "block") {
    const blocks = findBlocks(graph, sites, streams.at(-1), search.sites, context.head);
    const chosen = typeof blocks === "string" ? blocks : method.choose(blocks);
    if (typeof chosen === "string") throw adaptErrors.E_NO_BLOCKS(adapter.name, chosen);
    return { kind: "block", method, sites: chosen, streams, remarks: [] };
  }
  const chosen = search.sites.length === 0 ? "" : method.choose(search.sites);
  if (typeof chosen === "string" || chosen.length === 0) {
    const found = search.rejected.map(({ node, reason }) => `${node}: ${reason}`);
    throw adaptErrors.E_NO_ATTENTION(adapter.name, chosen === "" ? found : [String(chosen), ...found]);
  }
  return { kind: "attention", method, sites: chosen, streams, remarks: [] };
}

/** What to say of output layers that have the table of an embedding, where both are trained whole. */
function tiedRemarks(adapter: BoundAdapter, sites: readonly Site[]): string[] {
  return linkTied(sites).flatMap((site) => {
    const isTrained = (module: string): boolean => adapter.trainsWhole({ module, name: "weight" });
    if (site.tiedTo === undefined || !isTrained(basePath(site)) || !isTrained(site.tiedTo)) return [];
    return [`${basePath(site)} starts with the table of ${site.tiedTo} and is trained apart from it`];
  });
}

/** Places of a companion, by its own targets or else the table of the input's tokens. */
function companionPlaces(graph: Graph, adapter: BoundAdapter, context: SelectContext): Share {
  const given = targeting.parse(adapter.options);
  const [table] = findStreams(graph, context.sites);
  if (given.target_modules === null && table === undefined) {
    const tables = context.sites.filter(({ kind }) => kind === "embedding").map(({ path }) => path);
    throw adaptErrors.E_NO_PROMPT(adapter.name, tables);
  }
  const targets = {
    ...given,
    target_modules: given.target_modules ?? (table === undefined ? [] : [table.path]),
  };
  const { sites } = selectSites(adapter, targets, context);
  return { adapter, sites: withTied(adapter, sites, context.sites) };
}

/** Every site that is adapted, be it by a companion. */
export function allSites(places: Places): readonly AnySite[] {
  if (places.kind !== "modules") return places.sites;
  return [...places.sites, ...places.companions.flatMap(({ sites }) => sites)];
}

/** The chosen sites and those that are adapted with them since they share a weight, in execution order. */
function withTied({ tied }: BoundAdapter, chosen: readonly Site[], all: readonly Site[]): readonly Site[] {
  if (tied === "none") return chosen;
  const paths = new Set(chosen.map(basePath));
  const linked = linkTied(all);
  if (tied === "both")
    for (const { tiedTo, ...site } of linked)
      if (tiedTo !== undefined && paths.has(basePath(site))) paths.add(tiedTo);
  for (const { tiedTo, ...site } of linked)
    if (tiedTo !== undefined && paths.has(tiedTo)) paths.add(basePath(site));
  // A link leads to a table that is adapted.
  return linkTied(all.filter((site) => paths.has(basePath(site))));
}
