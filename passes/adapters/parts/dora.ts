/** DoRA: a low-rank update whose sum with the frozen weight is rescaled to a learned magnitude per output. */
import { outputNorms } from "../../../src/adapt/base-weight.ts";
import type { ParameterSpec, SiteView } from "../../../src/adapt/define.ts";
import type { LayerSite } from "../../../src/analysis/sites.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import { detach } from "../../../src/ops/detach.ts";
import { withoutBias } from "./bias.ts";

/** The magnitude vector m, which starts at the norms of the frozen weight. */
export function magnitudeSpec(site: LayerSite): ParameterSpec {
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

export interface DoraParts {
  readonly magnitude: Value;
  /** s BA, laid out as the weight. */
  readonly delta: Value;
  /** s BA applied to the input. */
  readonly update: Value;
  /** Input of the base layer where dropout made another one; absent where `y` can be used. */
  readonly dropped: Value | undefined;
}

/**
 * y + (m/n - 1) W x + (m/n) s B A x with n the norms of W + s BA, through which no gradient flows (Liu et al. 2024,
 * section 4.3). The base bias is not rescaled.
 */
export function applyDora(
  { site, y, weight, base }: SiteView<LayerSite["kind"]>,
  { magnitude, delta, update, dropped }: DoraParts,
  b: OpBuilder,
): Value {
  const norms = detach(b, normsOf(site, b.add(weight(), delta), b));
  const ratio = b.div(magnitude, norms);
  if (site.kind === "embedding") return b.mul(ratio, b.add(y, update));
  const product = withoutBias(site, dropped === undefined ? y : base(dropped), b);
  return b.add(y, b.add(b.mul(b.sub(ratio, 1), product), b.mul(ratio, update)));
}

/** (m/n) (W + s BA), per output. */
export function mergeDora(
  site: LayerSite,
  weight: Value,
  { magnitude, delta }: Omit<DoraParts, "update" | "dropped">,
  b: OpBuilder,
): Value {
  const sum = b.add(weight, delta);
  const ratio = b.div(magnitude, normsOf(site, sum, b));
  if (site.kind === "embedding") return b.mul(sum, ratio);
  const axes = site.kind === "conv" ? site.kernel.map(() => 1) : [];
  return b.mul(sum, b.reshape(ratio, [-1, 1, ...axes]));
}
