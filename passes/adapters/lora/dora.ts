/** DoRA: a low-rank update whose sum with the frozen weight is rescaled to a learned magnitude per output. */
import { outputNorms } from "../../../src/adapt/base-weight.ts";
import type { ParameterSpec } from "../../../src/adapt/define.ts";
import type { LayerSite } from "../../../src/analysis/sites.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import { detach } from "../../../src/ops/detach.ts";
import { withoutBias } from "../parts/bias.ts";
import { factorOf } from "../parts/factors.ts";
import { deltaOf, updateOf } from "./factors.ts";
import type { LoraContext, LoraVariant } from "./variant.ts";

/** The magnitude vector m, which starts at the norms of the frozen weight. */
function magnitudeSpec(site: LayerSite): ParameterSpec {
  const shape =
    site.kind === "linear"
      ? [site.outFeatures]
      : site.kind === "conv"
        ? [1, site.outChannels, ...site.kernel.map(() => 1)]
        : [site.width];
  return { key: "lora_magnitude_vector", shape, init: outputNorms(site), group: "lora_magnitude" };
}

/** Norms of W + s BA in the shape of m. */
function normsOf(site: LayerSite, weight: Value, b: OpBuilder): Value {
  if (site.kind === "embedding") return b.sqrt(b.reduceSumSquare(weight, [0], false));
  if (site.kind === "linear") return b.sqrt(b.reduceSumSquare(weight, [1], false));
  const norms = b.sqrt(b.reduceSumSquare(weight, [1, ...site.kernel.map((_, i) => i + 2)], true));
  return b.reshape(norms, [1, site.outChannels, ...site.kernel.map(() => 1)]);
}

/**
 * y + (m/n - 1) W x + (m/n) s B A x with n the norms of W + s BA, through which no gradient flows (Liu et al. 2024,
 * section 4.3). The base bias is not rescaled.
 */
function build({ site, x, y, weight, base, params, options: o, b, dropout }: LoraContext): Value {
  const dropped = site.kind === "embedding" ? x : dropout(x, o.lora_dropout);
  const update = updateOf(site, dropped, params, o, b);
  const norms = detach(b, normsOf(site, b.add(weight(), deltaOf(site, params, o, b)), b));
  const ratio = b.div(factorOf(params, "magnitude"), norms);
  if (site.kind === "embedding") return b.mul(ratio, b.add(y, update));
  const product = withoutBias(site, dropped === x ? y : base(dropped), b);
  return b.add(y, b.add(b.mul(b.sub(ratio, 1), product), b.mul(ratio, update)));
}

export const dora: LoraVariant = {
  option: "use_dora",
  isAsked: (o) => o.use_dora,
  kinds: ["linear", "conv", "embedding"],
  accepts: (site, o) => {
    if (o.lora_bias) return "lora_bias and use_dora exclude each other";
    if (o.init_lora_weights === false)
      return "use_dora starts at the norms of the frozen weight, so init_lora_weights must not be false";
    if (site.kind === "conv" && site.groups > 1)
      return "use_dora needs the product of both factors, and its convolution is grouped";
    return true;
  },
  parameters: (plain, site) => ({ ...plain, magnitude: magnitudeSpec(site) }),
  build,
  /** (m/n) (W + s BA), per output. */
  merge: ({ site, weight, params, options: o, b }) => {
    const sum = b.add(weight, deltaOf(site, params, o, b));
    const ratio = b.div(factorOf(params, "magnitude"), normsOf(site, sum, b));
    if (site.kind === "embedding") return { weight: b.mul(sum, ratio) };
    const axes = site.kind === "conv" ? site.kernel.map(() => 1) : [];
    return { weight: b.mul(sum, b.reshape(ratio, [-1, 1, ...axes])) };
  },
  unmerge: "merging gives weights the learned magnitudes in place of their own, which are not kept",
};
