/** Cartridge: a trained cache of keys and values, the first tokens of which stay as they are. */
import { z } from "zod";
import type { ParameterSpec } from "../../src/adapt/define.ts";
import { defineAttentionMethod } from "../../src/adapt/define-structure.ts";
import { normal } from "../../src/adapt/initializers.ts";
import { rowsOf } from "../../src/ir/rows.ts";
import { prefixOf, prefixSites, prefixSizes } from "./parts/prefix.ts";
import { promptOptions } from "./parts/prompt-config.ts";
import { need } from "./parts/torch-layers.ts";

const options = z
  .strictObject({
    ...promptOptions,
    num_frozen_tokens: z.int().min(0).default(1).describe("first tokens that are not trained"),
  })
  .refine((o) => o.num_frozen_tokens < o.num_virtual_tokens, {
    message: "expected fewer than num_virtual_tokens",
    path: ["num_frozen_tokens"],
  });

export default defineAttentionMethod({
  name: "cartridge",
  peftType: "CARTRIDGE",
  summary: "Trains a cache of keys and values that stands for a text, all but its first tokens",
  formula: "attention(q, [K_0; K_p; k], [V_0; V_p; v]), with K_0 and V_0 frozen",
  paper:
    "Eyuboglu et al. 2025, Cartridges: Lightweight and general-purpose long context representations via self-study, https://arxiv.org/abs/2506.06266",
  options,
  peftConfig: {},
  bare: true,
  identityAtStart: () => false,
  virtualTokens: (o) => o.num_virtual_tokens,
  choose: prefixSites,
  shared: (sites, o): Record<string, ParameterSpec> => {
    const { rowWidth } = prefixSizes(sites, o);
    const trained = o.num_virtual_tokens - o.num_frozen_tokens;
    const spec = (name: string, rows: number, trainable: boolean): ParameterSpec => ({
      key: `prompt_encoder.${name}_embedding`,
      shape: [rows, rowWidth],
      init: normal(1),
      saved: false,
      trainable,
    });
    return {
      ...(o.num_frozen_tokens > 0 ? { frozen: spec("frozen", o.num_frozen_tokens, false) } : {}),
      trainable: spec("trainable", trained, true),
    };
  },
  derive: (params, o, { b }) => {
    const trained = need(params, "trainable");
    return { table: o.num_frozen_tokens > 0 ? b.concat([need(params, "frozen"), trained], 0) : trained };
  },
  checkpoint: (params) => ({ prompt_embeddings: need(params, "table") }),
  restore: (tensors, o) => {
    const table = tensors.get("prompt_embeddings");
    if (table === undefined) return tensors;
    const frozen = { start: 0, size: o.num_frozen_tokens };
    const trained = { start: frozen.size, size: (table.dims[0] ?? 0) - frozen.size };
    return new Map([
      ...tensors,
      ["frozen.prompt_encoder.frozen_embedding", rowsOf(table, frozen)],
      ["param.prompt_encoder.trainable_embedding", rowsOf(table, trained)],
    ]);
  },
  build: ({ site, index, params, b }) => ({ prefix: prefixOf(b, need(params, "table"), site, index) }),
});
