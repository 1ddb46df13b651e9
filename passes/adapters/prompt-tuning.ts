/** Prompt tuning: trained virtual tokens before the real ones. */
import { z } from "zod";
import { definePromptMethod } from "../../src/adapt/define-structure.ts";
import { type Initializer, normal } from "../../src/adapt/initializers.ts";
import { sampledRows, textRows } from "../../src/adapt/token-rows.ts";
import type { EmbeddingSite } from "../../src/analysis/sites.ts";
import { promptMisfit, promptOptions } from "./parts/prompt-config.ts";

const options = z
  .strictObject({
    ...promptOptions,
    prompt_tuning_init: z
      .enum(["RANDOM", "SAMPLE_VOCAB", "TEXT"])
      .default("RANDOM")
      .describe("RANDOM: normal; SAMPLE_VOCAB: embeddings of random tokens; TEXT: those of a text"),
    prompt_tuning_init_text: z.string().nullable().default(null).describe("text to start from"),
    tokenizer_name_or_path: z
      .string()
      .nullable()
      .default(null)
      .describe("tokenizer.json of the text, or its folder"),
  })
  .check(({ value: o, issues }) => {
    if (o.prompt_tuning_init !== "TEXT") return;
    for (const field of ["prompt_tuning_init_text", "tokenizer_name_or_path"] as const) {
      if (o[field] === null)
        issues.push({ code: "custom", path: [field], message: "expected beside TEXT", input: o });
    }
  });

type Options = z.output<typeof options>;

function initOf(o: Options, table: EmbeddingSite | undefined): Initializer {
  if (table === undefined || o.prompt_tuning_init === "RANDOM") return normal(1);
  if (o.prompt_tuning_init === "SAMPLE_VOCAB") return sampledRows(table);
  return textRows(table, o.prompt_tuning_init_text ?? "", o.tokenizer_name_or_path ?? "");
}

export default definePromptMethod({
  name: "prompt-tuning",
  peftType: "PROMPT_TUNING",
  summary: "Puts trained virtual tokens before the tokens of the model, or of its encoder",
  formula: "embeddings = [P; E[ids]]",
  paper:
    "Lester et al. 2021, The Power of Scale for Parameter-Efficient Prompt Tuning, https://arxiv.org/abs/2104.08691",
  options,
  peftConfig: { tokenizer_kwargs: null },
  bare: true,
  identityAtStart: () => false,
  virtualTokens: (o) => o.num_virtual_tokens,
  // A decoder behind an encoder has rows of its own in the tensor, as PEFT makes it, but no prompt.
  choose: (sites, o) => promptMisfit(sites, o) ?? sites.slice(0, 1),
  shared: ([site], o) => ({
    prompt: {
      key: "prompt_embeddings",
      shape: [o.num_virtual_tokens * (site?.count ?? 1), site?.width ?? 0],
      init: initOf(o, site?.embedding),
    },
  }),
  build: ({ params: { prompt }, options: o, b }) =>
    b.slice(prompt, { starts: [0], ends: [o.num_virtual_tokens], axes: [0] }),
});
