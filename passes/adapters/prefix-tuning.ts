/** Prefix tuning: trained keys and values before those of every layer. */
import { z } from "zod";
import type { ParameterSpec } from "../../src/adapt/define.ts";
import { defineAttentionMethod } from "../../src/adapt/define-structure.ts";
import { filled, normal } from "../../src/adapt/initializers.ts";
import { prefixOf, prefixSites, prefixSizes } from "./parts/prefix.ts";
import { promptOptions } from "./parts/prompt-config.ts";
import { linear, linearSpecs, need } from "./parts/torch-layers.ts";

const options = z.strictObject({
  ...promptOptions,
  prefix_projection: z
    .boolean()
    .default(false)
    .describe("let two linear layers make the prefix of trained vectors"),
  encoder_hidden_size: z
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe("width between those layers, that of a key where there is none"),
  init_weights: z.enum(["zero"]).nullable().default(null).describe("zero: start at zeros instead of normal"),
});

const embedding = "prompt_encoder.embedding.weight";
const transform = "prompt_encoder.transform";

export default defineAttentionMethod({
  name: "prefix-tuning",
  peftType: "PREFIX_TUNING",
  summary: "Puts trained keys and values before those of every layer",
  formula: "attention(q, [K_p; k], [V_p; v])",
  paper:
    "Li and Liang 2021, Prefix-Tuning: Optimizing Continuous Prompts for Generation, https://arxiv.org/abs/2101.00190",
  options,
  peftConfig: {},
  bare: true,
  identityAtStart: () => false,
  virtualTokens: (o) => o.num_virtual_tokens,
  choose: prefixSites,
  shared: (sites, o): Record<string, ParameterSpec> => {
    const { tokenDim, rowWidth } = prefixSizes(sites, o);
    const rows = o.num_virtual_tokens;
    const init = o.init_weights === "zero" ? filled(0) : normal(1);
    if (!o.prefix_projection) return { table: { key: "prompt_embeddings", shape: [rows, rowWidth], init } };
    const hidden = o.encoder_hidden_size ?? tokenDim;
    return {
      [embedding]: { key: embedding, shape: [rows, tokenDim], init: normal(1), saved: false },
      ...linearSpecs(`${transform}.0`, tokenDim, hidden),
      ...linearSpecs(`${transform}.2`, hidden, rowWidth, o.init_weights === "zero" ? filled(0) : undefined),
    };
  },
  derive: (params, o, { b }) => {
    if (!o.prefix_projection) return { prefix: need(params, "table") };
    const inner = b.op("Tanh", [linear(b, params, `${transform}.0`, need(params, embedding))]);
    return { prefix: linear(b, params, `${transform}.2`, inner) };
  },
  checkpoint: (params) => ({ prompt_embeddings: need(params, "prefix") }),
  build: ({ site, index, params, b }) => ({ prefix: prefixOf(b, need(params, "prefix"), site, index) }),
});
