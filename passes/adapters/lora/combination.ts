/** Several adapters of plain LoRA as one. */
import { type Combination, combinationTypes } from "../../../src/adapt/combination.ts";
import { combinedRank, combineFactors } from "../parts/combine-factors.ts";
import { type Options, scalingOf } from "./options.ts";
import { hasTakenStart } from "./starts.ts";
import { variantAsked } from "./variants.ts";

const layer = ["lora_A.weight", "lora_B.weight"] as const;
const table = ["lora_embedding_A", "lora_embedding_B"] as const;

export const combination: Combination<Options> = {
  types: combinationTypes,
  keys: [...layer, ...table],
  options: (given, request) => {
    const variant = given.map(variantAsked).find((option) => option !== undefined);
    if (variant !== undefined) return `with ${variant}, an update is more than a product of two factors`;
    if (given.some((o) => o.lora_bias))
      return "the biases of lora_bias have no place in a product of factors";
    if (given.some((o) => (o.target_parameters ?? []).length > 0))
      return "parameters of target_parameters are no modules, and one key stands for several of them";
    if (given.some(hasTakenStart))
      return "what init_lora_weights took off the weight is not in the folder; convert it to plain LoRA first";
    const ranks = given.map((o) => Math.max(o.r, ...Object.values(o.rank_pattern)));
    const r = combinedRank(ranks, request);
    if (typeof r === "string") return r;
    return {
      r,
      lora_alpha: r,
      use_rslora: false,
      rank_pattern: {},
      alpha_pattern: {},
      init_lora_weights: true,
    };
  },
  module: (parts, context) => {
    const [keyA, keyB] = parts.some(({ tensors }) => table[0] in tensors) ? table : layer;
    const factors = parts.map(({ tensors, options: o, weight }) => {
      const { [keyA]: A, [keyB]: B } = tensors;
      return A === undefined || B === undefined ? undefined : { A, B, weight, scaling: scalingOf(o) };
    });
    if (!factors.every((each) => each !== undefined)) return `one of them lacks ${keyA} or ${keyB}`;
    const made = combineFactors(factors, context.result.r, context);
    return typeof made === "string" ? made : { [keyA]: made.A, [keyB]: made.B };
  },
};
