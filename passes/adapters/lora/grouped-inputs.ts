/** QA-LoRA: A reads means of groups of inputs, so that its update has as few degrees of freedom as a quantised weight's offsets. */
import { kaimingUniform } from "../../../src/adapt/initializers.ts";
import type { LayerSite } from "../../../src/analysis/sites.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import { updateOf } from "./factors.ts";
import { hasTakenStart } from "./starts.ts";
import type { LoraVariant } from "./variant.ts";

/** Means of groups of `size` features, times the number of groups: [..., groups]. PEFT multiplies so, as its paper does. */
function pooled(x: Value, groups: number, size: number, b: OpBuilder): Value {
  const lead = b.slice(b.shape(x), { starts: [0], ends: [-1], axes: [0] });
  const parts = b.reshape(x, b.concat([lead, b.ints([groups, size])], 0));
  return b.mul(b.reduceMean(parts, [-1], false), groups);
}

function features(site: LayerSite): number {
  return site.kind === "linear" ? site.inFeatures : 0;
}

export const groupedInputs: LoraVariant = {
  option: "use_qalora",
  isAsked: (o) => o.use_qalora,
  kinds: ["linear"],
  // PEFT has it for quantised modules, and adapts others as ever.
  appliesTo: (site) => site.weight.quantized !== undefined,
  accepts: (site, o) => {
    const { qalora_group_size: size, init_lora_weights: init } = o;
    if (hasTakenStart(o)) return `init_lora_weights ${init} starts from factors of all inputs`;
    return (
      features(site) % size === 0 ||
      `its ${features(site)} inputs do not fall into groups of qalora_group_size ${size}`
    );
  },
  parameters: (plain, site, { r, qalora_group_size: size }) => ({
    ...plain,
    ...(plain.A === undefined
      ? {}
      : { A: { ...plain.A, shape: [r, features(site) / size], init: kaimingUniform() } }),
  }),
  build: ({ site, x, y, params, options: o, b, dropout }) => {
    const size = o.qalora_group_size;
    const means = pooled(dropout(x, o.lora_dropout), features(site) / size, size, b);
    return b.add(y, updateOf(site, means, params, o, b));
  },
  merge: () => "use_qalora is meant for quantised weights, into which nothing is merged",
};
