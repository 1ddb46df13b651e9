/** What a folder for PEFT says beside the options and tensors of a method, since it follows from the modules of the model. */

import { sharesOf } from "../adapt/companions.ts";
import type { BoundAdapter } from "../adapt/define.ts";
import { keyOf, keyPrefix } from "../adapt/parameters.ts";
import { basePath, ownerPath } from "../adapt/select.ts";
import type { AnySite, Site } from "../analysis/sites.ts";

export interface PeftFacts {
  /** Fields of `adapter_config.json` that are not what the method's options say. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Keys under which a checkpoint of PEFT repeats a tensor, with the key that the tensor has here. */
  readonly aliases: Readonly<Record<string, string>>;
}

/**
 * @param tensors keys of the adapter's tensors.
 * @param followers output layers that have the weight of a table that is trained whole.
 */
export function peftFacts(
  adapter: BoundAdapter,
  sites: readonly AnySite[],
  tensors: { has(key: string): boolean },
  followers: readonly Site[] = [],
): PeftFacts {
  const modules = sites.filter(isModule);
  const fields: Record<string, unknown> = {};
  // PEFT notes it anew at each linear module, so that what the last one says stays.
  const last = modules.findLast((site) => site.kind === "linear");
  if (adapter.notesConv1d && last?.kind === "linear" && last.conv1d) fields.fan_in_fan_out = true;
  // Where PEFT has no field to leave modules out, those that are left are named whole.
  if (adapter.absentInPeft.some((field) => adapter.options[field] !== null))
    fields.target_modules = [...new Set(sites.map(basePath))];
  const tied = {
    target_modules: modules.filter(({ tiedTo }) => tiedTo !== undefined),
    modules_to_save: followers,
  };
  for (const [field, outputs] of Object.entries(tied)) {
    const given = adapter.options[field];
    if (adapter.tied === "both" && outputs.length > 0 && Array.isArray(given) && !given.some(tiesInPeft))
      fields[field] = [...given, ...outputs.map(basePath)];
  }
  const saved = followers.map(({ tiedTo, ...site }): [string, string] => [
    `${keyPrefix}${basePath(site)}.weight`,
    `${keyPrefix}${tiedTo}.weight`,
  ]);
  return {
    config: fields,
    aliases: Object.fromEntries([...aliasesOf(adapter, modules, tensors), ...saved]),
  };
}

/** Whether PEFT lets output layers follow tables where a list has this name; it looks for no other. */
function tiesInPeft(name: unknown): boolean {
  return /(^|\.)(embed_tokens|lm_head)$/.test(String(name));
}

function aliasesOf(
  adapter: BoundAdapter,
  modules: readonly Site[],
  tensors: { has(key: string): boolean },
): [string, string][] {
  return sharesOf(adapter, modules, tensors).flatMap(({ adapter: method, sites }) => {
    const shared = Object.values(method.shared(sites));
    return sites.flatMap((site) => {
      const specs = [...shared, ...Object.values(method.parameters(site, sites))];
      return specs.flatMap((spec): [string, string][] => {
        if (spec.repeated !== true || spec.saved === false) return [];
        const key = keyOf(spec, shared.includes(spec) ? undefined : ownerPath(site));
        const { owner: _owner, ...own } = spec;
        const alias = keyOf(own, basePath(site));
        return alias === key || !tensors.has(key) ? [] : [[alias, key]];
      });
    });
  });
}

function isModule(site: AnySite): site is Site {
  return site.kind !== "prompt" && site.kind !== "attention" && site.kind !== "block";
}
