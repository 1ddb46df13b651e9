/** Adaption prompt (LLaMA-Adapter): attention to trained tokens beside that to real ones, behind a gate that starts closed. */
import { z } from "zod";
import { defineAttentionMethod } from "../../src/adapt/define-structure.ts";
import { filled, normal } from "../../src/adapt/initializers.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";

const options = z.strictObject({
  target_modules: z
    .string()
    .nullable()
    .default(null)
    .describe("last part of the paths of the attention modules; all attention modules where absent"),
  adapter_len: z.int().min(1).default(10).describe("number of trained tokens of a layer"),
  adapter_layers: z.int().min(1).default(1).describe("number of adapted layers, counted from the last"),
});

export default defineAttentionMethod({
  name: "adaption-prompt",
  peftType: "ADAPTION_PROMPT",
  summary: "Lets the last layers attend to trained tokens, too, behind a gate that starts at zero",
  formula:
    "y = attention(q, k, v) + g softmax(q K_p^T / sqrt(d)) V_p, with K_p and V_p the layer's own projections of P",
  paper:
    "Zhang et al. 2023, LLaMA-Adapter: Efficient Fine-tuning of Language Models with Zero-init Attention, https://arxiv.org/abs/2303.16199",
  options,
  peftConfig: {},
  bare: false,
  identityAtStart: () => true,
  choose: (sites, o) => {
    const named = sites.filter(
      ({ path }) => o.target_modules === null || path.endsWith(`.${o.target_modules}`),
    );
    if (named.length >= o.adapter_layers) return named.slice(-o.adapter_layers);
    return `adapter_layers is ${o.adapter_layers}, while ${named.length} attention modules match`;
  },
  parameters: (site, o) => ({
    prompt: {
      key: "adaption_prompt",
      shape: [1, o.adapter_len, site.keyProjection?.site.inFeatures ?? 1],
      init: normal(1),
    },
    gate: { key: "adaption_gate", shape: [1], init: filled(0) },
  }),
  build: ({ site, params: { prompt, gate }, project, query, b }) => {
    const { key, value } = project(b.squeeze(prompt, [0]));
    const repeats = site.heads / site.keyHeads;
    const queries = query();
    const scores = b.matmul(queries, b.transposeLast(repeatHeads(b, key, repeats)));
    const weights = b.op("Softmax", [b.div(scores, Math.sqrt(site.headDim))], { axis: -1 });
    const mixed = b.matmul(b.mul(weights, gate), repeatHeads(b, value, repeats));
    // As PEFT has it: where one module makes queries, keys and values, the sum stands behind the output projection.
    return { update: { value: mixed, behindProjection: site.fused } };
  },
});

/** [1, heads, n, d] with each head `times` times in a row. */
function repeatHeads(b: OpBuilder, x: Value, times: number): Value {
  if (times === 1) return x;
  const [, heads = 1, length = 1, width = 1] = (x.tensorType?.shape ?? []).map(Number);
  const repeated = b.expand(b.unsqueeze(x, [2]), b.ints([1, heads, times, length, width]));
  return b.reshape(repeated, [1, heads * times, length, width]);
}
