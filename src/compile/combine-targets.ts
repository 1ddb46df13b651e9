/** Which modules a combined adapter names as its targets: all that one of its parts adapts, and no other. */
import { z } from "zod";
import { targetOptions } from "../adapt/targets.ts";
import type { PeftFolder } from "./peft-folder.ts";

const targeting = z.looseObject(targetOptions);

/** @param paths modules of the combined adapter. */
export function combineTargets(
  inputs: readonly Pick<PeftFolder, "options">[],
  paths: readonly string[],
): Record<string, unknown> {
  const given = inputs.map(({ options }) => targeting.parse(options));
  const saved = [...new Set(given.flatMap((each) => each.modules_to_save ?? []))];
  const common = { modules_to_save: saved.length === 0 ? null : saved };
  const same = (of: (each: (typeof given)[number]) => unknown): boolean =>
    new Set(given.map((each) => JSON.stringify(of(each)))).size === 1;
  const restrictions = (each: (typeof given)[number]): unknown => [
    each.exclude_modules,
    each.layers_to_transform,
    each.layers_pattern,
  ];
  if (same((each) => each.target_modules) && same(restrictions)) return common;
  const lists = given.map((each) => each.target_modules);
  if (same(restrictions) && lists.every((list) => Array.isArray(list)))
    return { ...common, target_modules: [...new Set(lists.flat())] };
  // Rules that differ cannot be joined, as one would leave out what another adapts: the modules are named whole.
  return {
    ...common,
    target_modules: [...paths],
    exclude_modules: null,
    layers_to_transform: null,
    layers_pattern: null,
  };
}
