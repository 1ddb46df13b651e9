/** The variants of LoRA: which one a module is adapted by. */
import type { LayerSite } from "../../../src/analysis/sites.ts";
import { blocks } from "./blocks.ts";
import { compressed } from "./compressed.ts";
import { dora } from "./dora.ts";
import { groupedInputs } from "./grouped-inputs.ts";
import { invocation } from "./invocation.ts";
import type { Options } from "./options.ts";
import { sampled } from "./sampled.ts";
import { singularValues } from "./singular-values.ts";
import type { LoraVariant } from "./variant.ts";

const variants: readonly LoraVariant[] = [
  dora,
  groupedInputs,
  blocks,
  invocation,
  compressed,
  sampled,
  singularValues,
];

/** The variant of a module; undefined where it is plain LoRA. */
export function variantOf(site: LayerSite, o: Options): LoraVariant | undefined {
  return askedFor(site, o)[0];
}

/** Name of an option that asks for a variant, whatever modules it applies to; undefined where there is none. */
export function variantAsked(o: Options): string | undefined {
  return variants.find((variant) => variant.isAsked(o))?.option;
}

/** Why a module cannot be adapted by the variant that is asked for, or true. */
export function acceptsVariant(site: LayerSite, o: Options): true | string {
  const [variant, another] = askedFor(site, o);
  if (variant === undefined) return true;
  if (another !== undefined) return `${variant.option} and ${another.option} exclude each other`;
  if (!variant.kinds.includes(site.kind))
    return `${variant.option} is not defined for modules of kind ${site.kind}`;
  return variant.accepts?.(site, o) ?? true;
}

function askedFor(site: LayerSite, o: Options): LoraVariant[] {
  return variants.filter((variant) => variant.isAsked(o) && (variant.appliesTo?.(site, o) ?? true));
}
