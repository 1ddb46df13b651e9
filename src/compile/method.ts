/** What holds of a method where the caller does not say otherwise. */
import type { Adapter } from "../adapt/define.ts";
import { allLinear } from "../adapt/targets.ts";
import type { GivenOptions } from "../pass/options.ts";

/** Options with the targets of methods that choose modules filled in: every linear one where nothing is said. */
export function withDefaultTargets(method: Adapter, options: GivenOptions): GivenOptions {
  const isOpen = "target_modules" in method.options.shape && (options.target_modules ?? null) === null;
  return isOpen ? { ...options, target_modules: allLinear } : options;
}
