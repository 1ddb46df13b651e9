/** How A and B of a module start: `init_lora_weights` by its values. */
import type { Unportable } from "../../../src/adapt/define.ts";
import { filled, type Initializer, kaimingUniform, normal } from "../../../src/adapt/initializers.ts";
import type { LayerSite } from "../../../src/analysis/sites.ts";
import { InternalError } from "../../../src/diagnostics/define.ts";
import { minorStart } from "../init/minor.ts";
import { orthogonalPair } from "../init/orthogonal.ts";
import { principalStart } from "../init/principal.ts";
import { quantisedStart } from "../init/quantised.ts";
import type { FactorStart } from "../init/start.ts";
import { triangularStart } from "../init/triangular.ts";
import { type Options, scalingOf } from "./options.ts";

/** Starting values of one module. */
export function startOf(site: LayerSite, o: Options): FactorStart {
  const { r, init_lora_weights: init } = o;
  if (init === "mica" && site.kind !== "conv") return minorStart(site, r);
  if (site.kind === "embedding") {
    const A = init === false ? normal(1) : filled(0);
    return { A, B: normal(1), trainsB: true, isTaken: false };
  }
  if (site.kind === "linear") {
    if (init === "orthogonal") {
      const [A, B] = orthogonalPair(r, site.inFeatures, site.outFeatures, site.path);
      return { A, B, trainsB: true, isTaken: false };
    }
    if (init === "pissa") return principalStart(site, r, scalingOf(o));
    if (typeof init === "string" && init.startsWith("pissa_niter_"))
      return principalStart(site, r, scalingOf(o), Number(init.slice("pissa_niter_".length)));
    if (init === "loftq") {
      const { loftq_bits: bits = 4, loftq_iter: rounds = 1 } = o.loftq_config;
      return quantisedStart(site, r, scalingOf(o), { bits, rounds });
    }
    if (init === "olora") return triangularStart(site, r);
    if (isFromData(o)) {
      const A = fromData(site.path, String(init));
      return { A, B: init === "eva" ? filled(0) : A, trainsB: true, isTaken: init !== "eva" };
    }
  }
  const A = init === "gaussian" ? normal(1 / r) : kaimingUniform();
  return { A, B: init === false ? kaimingUniform() : filled(0), trainsB: true, isTaken: false };
}

/** Values that are defined by a weight matrix, and so by linear modules alone. */
const ofMatrices = /^(orthogonal|pissa|olora|mica|eva|corda|lora_ga|loftq)/;

/** Why a module cannot start so, or true. */
export function acceptsStart(site: LayerSite, o: Options): true | string {
  const { r, init_lora_weights: init, lora_alpha: alpha } = o;
  if (typeof init !== "string" || !ofMatrices.test(init)) return true;
  if (site.kind === "conv") return `init_lora_weights ${init} is not defined for convolutions`;
  if (init === "orthogonal") return r % 2 === 0 || `orthogonal initialisation needs an even rank, not ${r}`;
  if (site.kind === "embedding" && init !== "mica") return true;
  const [rows, columns] =
    site.kind === "linear" ? [site.outFeatures, site.inFeatures] : [site.rows, site.width];
  const [most, wanted] = [init === "eva" ? columns : Math.min(rows, columns), init === "lora_ga" ? 2 * r : r];
  if (wanted > most) return `init_lora_weights ${init} chooses from ${wanted} parts where there are ${most}`;
  if (init === "loftq" && site.weight.quantized !== undefined)
    return "its weight is quantised already, and init_lora_weights loftq starts from what that loses";
  if (/^(pissa|corda|loftq)/.test(init) && alpha <= 0)
    return `init_lora_weights ${init} needs a positive lora_alpha`;
  return !hasTakenStart(o) || alpha !== 0 || `init_lora_weights ${init} needs a lora_alpha other than 0`;
}

/** Whether linear weights become others as their factors start: they lose what these start with, or are quantised. */
export function hasTakenStart({ init_lora_weights: init }: Pick<Options, "init_lora_weights">): boolean {
  return typeof init === "string" && /^(pissa|olora|corda|lora_ga|loftq)/.test(init);
}

/** Why folders cannot carry what becomes of the weights. */
export function unportableStart({ init_lora_weights: init }: Pick<Options, "init_lora_weights">): Unportable {
  if (init === "loftq") {
    const reason = "the update stands beside a quantised weight, which the folder does not hold";
    return { fromPeft: reason, toPeft: reason };
  }
  return /^(pissa_niter|corda|lora_ga)/.test(String(init))
    ? { fromPeft: "the weight lost what PEFT found by random numbers or data, which the folder does not say" }
    : {};
}

/** Whether linear modules start from what batches of data give. */
export function isFromData({ init_lora_weights: init }: Pick<Options, "init_lora_weights">): boolean {
  return init === "eva" || init === "corda" || init === "lora_ga";
}

/** A value that is there only where data was gathered, or in an adapter that is loaded. */
function fromData(path: string, init: string): Initializer {
  return () => {
    throw new InternalError(`"${path}" starts by ${init}, and nothing was gathered`);
  };
}
