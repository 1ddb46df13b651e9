/** Trainable tokens: chosen rows of a token table are trained, and those of the output layer that is tied to it. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import type { Initializer } from "../../src/adapt/initializers.ts";
import { names } from "../../src/adapt/targets.ts";
import { countElements } from "../../src/ir/shape.ts";
import { acceptsTokens, mergeTokens, replaceTokens, tokenIds, tokensSpec } from "./parts/replaced-tokens.ts";

const options = z.strictObject({
  token_indices: tokenIds.default([]).describe("ids of the tokens whose embeddings are trained"),
  target_modules: names
    .nullable()
    .default(["embed_tokens"])
    .describe("the token tables, as for other methods"),
  init_weights: z
    .boolean()
    .default(true)
    .describe("true: start at the embeddings; false: uniform from 0 to 1"),
});

const uniformUnit: Initializer = (shape, random) =>
  Float32Array.from({ length: countElements(shape) }, () => random.uniform());

export default defineAdapter({
  name: "trainable-tokens",
  peftType: "TRAINABLE_TOKENS",
  summary:
    "Trains the embeddings of chosen tokens, and with them the rows of an output layer that is tied to the table",
  formula: "E[t] = D[t] for the chosen tokens t",
  paper: "PEFT's own method, https://huggingface.co/docs/peft/package_reference/trainable_tokens",
  options,
  peftConfig: {},
  sites: ["embedding", "linear"],
  tied: () => "outputs",
  accepts: (site, o) => acceptsTokens(site, o.token_indices),
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o) => {
    const spec = tokensSpec(site, o.token_indices);
    return { delta: o.init_weights ? spec : { ...spec, init: uniformUnit } };
  },
  build: ({ site, x, y, params: { delta }, options: o, b }) =>
    replaceTokens(b, { site, x, y, delta, ids: o.token_indices }),
  merge: ({ weight, params: { delta }, options: o, b }) => ({
    weight: mergeTokens(b, weight, delta, o.token_indices),
  }),
  unmerge: "merging puts other values in the place of those of the base model, which are not kept",
});
