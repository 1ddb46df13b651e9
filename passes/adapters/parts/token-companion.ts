/** Trained tokens that come along with another method, under keys of their own. */
import { z } from "zod";
import { type BoundAdapter, defineAdapter } from "../../../src/adapt/define.ts";
import { names } from "../../../src/adapt/targets.ts";
import { acceptsTokens, mergeTokens, replaceTokens, tokenIds, tokensSpec } from "./replaced-tokens.ts";

/** Ids of the input's tokens, or by the name of a table. */
export const tokenIndices = z
  .union([tokenIds, z.record(z.string(), tokenIds)])
  .nullable()
  .default(null)
  .describe("tokens whose embeddings are trained, too: of the input, or by the name of a table");

const companion = defineAdapter({
  name: "trainable_token_indices",
  peftType: "",
  summary: "",
  formula: "",
  paper: "",
  options: z.strictObject({ token_indices: tokenIds, target_modules: names.nullable() }),
  peftConfig: {},
  sites: ["embedding", "linear"],
  tied: () => "outputs",
  accepts: (site, o) => acceptsTokens(site, o.token_indices),
  identityAtStart: () => true,
  parameters: (site, o) => ({ delta: tokensSpec(site, o.token_indices, "token_adapter.") }),
  build: ({ site, x, y, params: { delta }, options: o, b }) =>
    replaceTokens(b, { site, x, y, delta, ids: o.token_indices }),
  merge: ({ weight, params: { delta }, options: o, b }) => ({
    weight: mergeTokens(b, weight, delta, o.token_indices),
  }),
});

/** The companions that the option asks for, one for each table. */
export function tokenCompanions(indices: z.output<typeof tokenIndices>): BoundAdapter[] {
  if (indices === null) return [];
  const tables = Array.isArray(indices)
    ? [{ target_modules: null, token_indices: indices }]
    : Object.entries(indices).map(([name, ids]) => ({ target_modules: [name], token_indices: ids }));
  return tables.map((options) => companion.bind(options));
}
