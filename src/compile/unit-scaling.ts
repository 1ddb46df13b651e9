/** A trained adapter with its scaling inside its tensors, so that it can take another one's place in a model. */
import { bindAdapter, requireAdapter } from "../../passes/adapt.ts";
import { combinationSchema } from "../adapt/combination.ts";
import { combineModules, contextOf, modulesOf } from "./combine.ts";
import type { Trained } from "./trained.ts";

/** The type of which one adapter alone gives the same update with a factor of 1 before it. */
const type = "cat";

/**
 * The same adapter as its method puts the ranks of one side by side: with the same update, and a scaling that is the same for all
 * adapters of that rank. As it is where the method does not combine so, or not with these options.
 */
export function withUnitScaling(trained: Trained): Trained {
  const { adapter, tensors, manifest } = trained;
  const { combination } = requireAdapter(adapter.name);
  if (combination === undefined || !combination.types.includes(type)) return trained;
  const own = combination.options([adapter.options], { type });
  if (typeof own === "string") return trained;
  const options = { ...adapter.options, ...own };
  const unit = bindAdapter(adapter.name, options);
  const modules = modulesOf([{ tensors, weight: 1, options: adapter.options }], combination);
  const made = combineModules(modules, combination, contextOf(type, combinationSchema.parse({}), unit));
  if ("reason" in made) return trained;
  return {
    ...trained,
    adapter: unit,
    manifest: { ...manifest, method: { ...manifest.method, options } },
    tensors: new Map([...tensors, ...made.tensors]),
  };
}
