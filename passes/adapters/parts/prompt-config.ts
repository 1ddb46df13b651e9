/** Options that PEFT's prompt methods share, and the check of those that follow from the model. */
import { z } from "zod";
import { targetOptions } from "../../../src/adapt/targets.ts";
import type { AttentionSite } from "../../../src/analysis/attention-sites.ts";
import type { PromptSite } from "../../../src/analysis/token-streams.ts";

const fromModel = (what: string): z.ZodDefault<z.ZodNullable<z.ZodInt>> =>
  z.int().min(1).nullable().default(null).describe(`${what}: found in the model, another value is refused`);

/** Options of every prompt method, under PEFT's names. */
export const promptOptions = {
  num_virtual_tokens: z.int().min(1).default(20).describe("number of virtual tokens"),
  token_dim: fromModel("width of a token, or of the keys of all heads"),
  num_transformer_submodules: fromModel("1, or 2 for an encoder with a decoder"),
  num_attention_heads: fromModel("number of heads"),
  num_layers: fromModel("number of layers"),
  modules_to_save: targetOptions.modules_to_save,
};

export type PromptOptions = z.output<z.ZodObject<typeof promptOptions>>;

/** Why options do not fit the streams of tokens; undefined where they do. */
export function promptMisfit(sites: readonly PromptSite[], o: PromptOptions): string | undefined {
  return (
    misfit("token_dim", o.token_dim, sites[0]?.width) ??
    misfit("num_transformer_submodules", o.num_transformer_submodules, sites.length)
  );
}

/** Why options do not fit the attention blocks that get a prefix; undefined where they do. */
export function prefixMisfit(sites: readonly AttentionSite[], o: PromptOptions): string | undefined {
  const [first] = sites;
  if (first === undefined) return undefined;
  const { keyHeads, headDim, valueDim, stream } = first;
  const isOdd = sites.some(
    (site) => site.keyHeads !== keyHeads || site.headDim !== headDim || site.valueDim !== headDim,
  );
  if (isOdd || valueDim !== headDim)
    return "heads of different sizes among its layers, or keys and values of different sizes";
  return (
    misfit("token_dim", o.token_dim, keyHeads * headDim) ??
    misfit("num_attention_heads", o.num_attention_heads, keyHeads) ??
    misfit("num_layers", o.num_layers, sites.length) ??
    misfit("num_transformer_submodules", o.num_transformer_submodules, stream?.count)
  );
}

function misfit(option: string, given: number | null, found: number | undefined): string | undefined {
  if (given === null || given === found) return undefined;
  return `${option} is ${given}, while the model has ${found ?? "none"}`;
}
