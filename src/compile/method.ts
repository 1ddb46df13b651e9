/** What holds of a method where the caller does not say otherwise. */
import { z } from "zod";
import type { Adapter } from "../adapt/define.ts";
import { allLinear } from "../adapt/targets.ts";
import type { GivenOptions } from "../pass/options.ts";

/** Options with the targets of methods that choose modules filled in: every linear one where nothing is said. */
export function withDefaultTargets(method: Adapter, options: GivenOptions): GivenOptions {
  const field = method.options.shape.target_modules;
  // A method with targets of its own, or one that adapts no linear modules, has other defaults.
  const isOpen =
    field instanceof z.ZodType && field.safeParse(undefined).data === null && method.sites.includes("linear");
  return isOpen && (options.target_modules ?? null) === null
    ? { ...options, target_modules: allLinear }
    : options;
}
