/** LoRA: a low-rank update beside a frozen weight. */
import { defineAdapter, type Merged, withoutAdded } from "../../src/adapt/define.ts";
import { matchPattern } from "../../src/adapt/targets.ts";
import type { LayerSite } from "../../src/analysis/sites.ts";
import { arrow } from "./lora/arrow.ts";
import { combination } from "./lora/combination.ts";
import { dataStartOf } from "./lora/data-start.ts";
import { deltaOf, plainSpecs, updateOf } from "./lora/factors.ts";
import { type Options, options, scalingOf } from "./lora/options.ts";
import { isTargetedByParameter, parameterCompanions } from "./lora/parameter-targets.ts";
import { plainForm } from "./lora/plain-form.ts";
import { acceptsStart, hasTakenStart, unportableStart } from "./lora/starts.ts";
import { withTaken, withTakenWeight } from "./lora/taken.ts";
import { acceptsTying, ownFactors, tiedSpecs, tyingHook } from "./lora/tied.ts";
import type { LoraMergeContext } from "./lora/variant.ts";
import { acceptsVariant, variantAsked, variantOf } from "./lora/variants.ts";
import { absentOfLora } from "./parts/lora-config.ts";
import { tokenCompanions } from "./parts/token-companion.ts";

function optionsFor(o: Options, path: string): Options {
  return {
    ...o,
    r: matchPattern(o.rank_pattern, path) ?? o.r,
    lora_alpha: matchPattern(o.alpha_pattern, path) ?? o.lora_alpha,
  };
}

/** Conditions of plain LoRA. */
function acceptsPlain(site: LayerSite, o: Options): true | string {
  if (site.kind === "conv" && o.r % site.groups !== 0)
    return `rank ${o.r} is not a multiple of its ${site.groups} groups`;
  if (isTargetedByParameter(site, o)) return "its weight is adapted by target_parameters";
  return !(o.lora_bias && site.kind === "embedding") || "lora_bias is not defined for embeddings";
}

function merge(given: LoraMergeContext): Merged | string {
  if (given.site.kind === "conv" && given.site.groups > 1)
    return "its convolution is grouped, while A is not";
  const context = withTakenWeight(given);
  const variant = variantOf(given.site, given.options)?.merge;
  if (variant !== undefined) return variant(context);
  const { site, weight, bias, params, options: o, b } = context;
  const merged = { weight: b.add(weight, deltaOf(site, ownFactors(site, params), o, b)) };
  if (params.bias === undefined) return merged;
  if (bias === undefined) return "it has no bias that the one of B could be added to";
  return { ...merged, bias: b.add(bias, b.mul(params.bias, scalingOf(o))) };
}

export default defineAdapter({
  name: "lora",
  peftType: "LORA",
  summary: "Adds a trainable low-rank product to frozen linear, convolution and embedding weights",
  formula: "y = W x + b + s B A x, with s = lora_alpha / r",
  paper:
    "Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models, https://arxiv.org/abs/2106.09685",
  options,
  peftConfig: absentOfLora,
  sites: ["linear", "conv", "embedding"],
  accepts: (site, o) =>
    [acceptsPlain, acceptsStart, acceptsVariant, acceptsTying].reduce<true | string>(
      (verdict, accepts) => (verdict === true ? accepts(site, o) : verdict),
      true,
    ),
  optionsFor,
  dataStart: (sites, o) => dataStartOf(sites, o, (path) => optionsFor(o, path)),
  unportable: (o) => unportableStart(o),
  toPeft: plainForm,
  combination,
  routing: arrow,
  stacks: (o) => variantAsked(o) === undefined && !hasTakenStart(o),
  companions: (o) => [...tokenCompanions(o.trainable_token_indices), ...parameterCompanions(o)],
  detaches: (o) => (o.use_dora ? "the norms of the updated weight, as the authors of DoRA do" : undefined),
  identityAtStart: (o) =>
    o.init_lora_weights !== false && o.init_lora_weights !== "loftq" && o.kasa_config === null,
  tied: (o) => (o.ensure_weight_tying ? "both" : "none"),
  hook: (o) => (o.ensure_weight_tying ? tyingHook : undefined),
  parameters: (site, o, sites) => {
    const tied = o.ensure_weight_tying ? tiedSpecs(site, o, sites) : undefined;
    if (tied !== undefined) return tied;
    const plain = plainSpecs(site, o);
    return variantOf(site, o)?.parameters?.(plain, site, o) ?? plain;
  },
  build: (given) => {
    const context = withTaken(given);
    const variant = variantOf(given.site, given.options)?.build;
    if (variant !== undefined) return variant(context);
    const { site, x, y, params, options: o, b, dropout } = context;
    const dropped = site.kind === "embedding" ? x : dropout(x, o.lora_dropout);
    return b.add(y, updateOf(site, dropped, ownFactors(site, params), o, b));
  },
  merge,
  unmerge: (given) =>
    given.params.base === undefined
      ? (variantOf(given.site, given.options)?.unmerge ?? withoutAdded(merge, given))
      : "merging puts a quantised weight in the place of the base model's, which is not kept",
});
