/** `target_parameters`: parameters that are adapted by their own names, as a companion of LoRA with plain factors. */
import { type BoundAdapter, defineAdapter } from "../../../src/adapt/define.ts";
import { matchesNames, matchPattern } from "../../../src/adapt/targets.ts";
import type { LayerSite } from "../../../src/analysis/sites.ts";
import { deltaOf, plainSpecs, updateOf } from "./factors.ts";
import { type Options, options } from "./options.ts";
import { acceptsStart } from "./starts.ts";
import { withTaken, withTakenWeight } from "./taken.ts";
import { acceptsVariant, variantOf } from "./variants.ts";

/** The only parameter of a module that is a matrix here. */
const weight = ".weight";

const companion = defineAdapter({
  name: "target_parameters",
  peftType: "",
  summary: "",
  formula: "",
  paper: "",
  options,
  peftConfig: {},
  sites: ["linear"],
  accepts: (site, o) => {
    const path = site.path.replace(/#\d+$/, "");
    if (!matchesNames(o.target_modules ?? [], path)) return "it is adapted as a module";
    if (site.conv1d)
      return "target_parameters are not defined for Conv1D, whose weight is stored the other way";
    if (o.lora_bias || o.lora_dropout > 0)
      return "target_parameters change the weight itself, so lora_bias and lora_dropout have no place";
    const variant = variantOf(site, o);
    if (variant !== undefined) return `${variant.option} and target_parameters exclude each other`;
    const verdict = acceptsStart(site, o);
    return verdict === true ? acceptsVariant(site, o) : verdict;
  },
  // Patterns are looked for in the path of the parameter.
  optionsFor: (o, path) => ({
    ...o,
    r: matchPattern(o.rank_pattern, `${path}${weight}`) ?? o.r,
    lora_alpha: matchPattern(o.alpha_pattern, `${path}${weight}`) ?? o.lora_alpha,
  }),
  identityAtStart: (o) => o.init_lora_weights !== false,
  parameters: (site, o) => plainSpecs(site, o),
  build: (given) => {
    const { site, x, y, params, options: o, b } = withTaken(given);
    return b.add(y, updateOf(site, x, params, o, b));
  },
  merge: (given) => {
    const { site, weight: base, params, options: o, b } = withTakenWeight(given);
    return { weight: b.add(base, deltaOf(site, params, o, b)) };
  },
});

/** Whether a module's weight is among the parameters, so that the module itself is left alone. */
export function isTargetedByParameter({ path }: LayerSite, { target_parameters: names }: Options): boolean {
  return matchesNames(names ?? [], `${path.replace(/#\d+$/, "")}${weight}`);
}

/** The companion that the option asks for. Names end with that of the parameter, and match by their last segments. */
export function parameterCompanions(o: Options): BoundAdapter[] {
  if (o.target_parameters === null || o.target_parameters.length === 0) return [];
  const names = o.target_parameters.map((name) => name.slice(0, -weight.length));
  const none = { target_parameters: null, trainable_token_indices: null, modules_to_save: null };
  const everywhere = { exclude_modules: null, layers_to_transform: null, layers_pattern: null };
  return [companion.bind({ ...o, ...none, ...everywhere, target_modules: names })];
}
