/** CPT: an example in the context, whose embeddings move within a small distance of those of its tokens. */
import { z } from "zod";
import { definePromptMethod } from "../../src/adapt/define-structure.ts";
import { filled } from "../../src/adapt/initializers.ts";
import { tokenRows } from "../../src/adapt/token-rows.ts";
import { float32Tensor } from "../../src/ir/constant.ts";
import { Tensor } from "../../src/ir/tensor.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { detach } from "../../src/ops/detach.ts";
import { dimOf } from "../../src/ops/facts.ts";
import { promptMisfit, promptOptions } from "./parts/prompt-config.ts";

const { num_virtual_tokens: _, ...ofModel } = promptOptions;
const list = z.array(z.int().nonnegative());

const options = z
  .strictObject({
    ...ofModel,
    num_virtual_tokens: z.int().min(1).nullable().default(null).describe("number of ids in cpt_token_ids"),
    cpt_token_ids: list.min(1).default([0]).describe("ids of the example's tokens"),
    cpt_mask: list.nullable().default(null).describe("without effect, as in PEFT"),
    cpt_tokens_type_mask: list
      .nullable()
      .default(null)
      .describe(
        "what each token is, modulo 4: 1 template of an input, 2 input, 3 template of a label, 0 label; null: all 1",
      ),
    opt_weighted_loss_type: z
      .enum(["none", "decay"])
      .default("none")
      .describe("decay: labels of earlier examples count less"),
    opt_loss_decay_factor: z.number().default(1).describe("factor from one example to the one before"),
    opt_projection_epsilon: z
      .number()
      .nonnegative()
      .default(0.1)
      .describe("how far inputs may move, at width 2048"),
    opt_projection_format_epsilon: z
      .number()
      .nonnegative()
      .default(0.1)
      .describe("how far templates may move, at width 2048"),
    tokenizer_name_or_path: z.string().nullable().default(null).describe("without effect: ids are given"),
  })
  .check(({ value: o, issues }) => {
    const count = o.cpt_token_ids.length;
    const lengths = {
      cpt_mask: o.cpt_mask?.length,
      cpt_tokens_type_mask: o.cpt_tokens_type_mask?.length,
      num_virtual_tokens: o.num_virtual_tokens ?? undefined,
    };
    for (const [field, length] of Object.entries(lengths)) {
      if (length === undefined || length === count) continue;
      const message = `expected ${count}, as there are cpt_token_ids`;
      issues.push({ code: "custom", path: [field], message, input: length });
    }
  });

type Options = z.output<typeof options>;

const keys = {
  table: "prompt_encoder.embedding.weight",
  delta: "prompt_encoder.delta_embedding.weight",
} as const;

function typesOf({ cpt_tokens_type_mask: types, cpt_token_ids: ids }: Options): readonly number[] {
  return types ?? ids.map(() => 1);
}

/** Rows of the delta within their distances. What is no input and no template does not move. */
function near(delta: Value, o: Options, b: OpBuilder): Value {
  const width = Number(dimOf(delta, 1));
  const limits = typesOf(o).map((type) => {
    if (type % 4 === 0) return 1e-10;
    const epsilon = type % 4 === 2 ? o.opt_projection_epsilon : o.opt_projection_format_epsilon;
    return epsilon * Math.sqrt(width / 2048);
  });
  const allowed = b.constant(float32Tensor(limits, [limits.length, 1]), "distances");
  const length = b.sqrt(b.reduceSumSquare(delta, [1]));
  return b.mul(delta, b.div(allowed, b.max(b.max(length, allowed), 1e-30)));
}

/** The delta as it is used. As in PEFT, which cuts it down in place, the gradient is that of what is used, or 0 for labels. */
function used(delta: Value, o: Options, b: OpBuilder): Value {
  const moves = typesOf(o).map((type) => Number(type % 4 !== 0));
  const mask = b.constant(float32Tensor(moves, [moves.length, 1]), "moves");
  return b.add(detach(b, near(delta, o, b)), b.mul(b.sub(delta, detach(b, delta)), mask));
}

/** Labels of the example's tokens, and what they count: each group of labels less than the one behind it. */
function example(o: Options): { labels: number[]; weights: number[] } {
  const types = typesOf(o);
  const isLabel = (type: number): boolean => type > 0 && type % 4 === 0;
  // The first token is never predicted, and the text behind the example is one more group.
  const groups = [...new Set(types.slice(1).filter(isLabel))].sort((left, right) => right - left);
  return {
    labels: types.map((type, i) => (isLabel(type) ? (o.cpt_token_ids[i] ?? -100) : -100)),
    weights: types.map((type) =>
      o.opt_weighted_loss_type === "decay" && isLabel(type)
        ? o.opt_loss_decay_factor ** (1 + groups.indexOf(type))
        : 1,
    ),
  };
}

export default definePromptMethod({
  name: "cpt",
  peftType: "CPT",
  summary: "Puts an example before the text, whose embeddings move within a small distance of its tokens'",
  formula: "embeddings = [E[example] + D; E[ids]], with every row of D cut down to its distance",
  paper:
    "Blau et al. 2024, Context-aware Prompt Tuning: Advancing In-Context Learning with Adversarial Methods, https://arxiv.org/abs/2410.17222",
  options,
  peftConfig: {},
  bare: true,
  identityAtStart: () => false,
  virtualTokens: (o) => o.cpt_token_ids.length,
  choose: (sites, o) =>
    promptMisfit(sites, { ...o, num_virtual_tokens: o.cpt_token_ids.length }) ?? sites.slice(0, 1),
  loss: (o) => {
    const { labels, weights } = example(o);
    return {
      name: "in-context",
      options: { prefix_labels: labels, prefix_weights: weights },
      task: "causal-lm",
    };
  },
  shared: ([site], o) => {
    const shape = [o.cpt_token_ids.length, site?.width ?? 0];
    const rows = site?.embedding === undefined ? filled(0) : tokenRows(site.embedding, o.cpt_token_ids);
    return {
      table: { key: keys.table, shape, init: rows, trainable: false, saved: false },
      delta: { key: keys.delta, shape, init: filled(0), saved: false },
    };
  },
  hook: (o) => ({
    names: ["delta"],
    state: {},
    before: ({ b, param, split, join }) =>
      join(
        split(param, ["delta"]).map(({ delta }) => ({ delta: near(delta, o, b) })),
        ["delta"],
      ),
  }),
  detaches: () => "the cut to the distances, and labels",
  derive: ({ table, delta }, o, { b }) => ({ prompt: b.add(table, used(delta, o, b)) }),
  checkpoint: ({ prompt }) => ({ prompt_embeddings: prompt }),
  // A folder holds only what both make; as in PEFT it stands for the tokens, from which nothing has moved.
  restore: (tensors) => {
    const prompt = tensors.get("prompt_embeddings");
    if (prompt === undefined || tensors.has(`param.${keys.delta}`)) return tensors;
    const still = new Tensor("float32", prompt.dims, {
      kind: "lazy",
      compute: () => new Uint8Array(prompt.byteLength),
    });
    return new Map([...tensors, [`frozen.${keys.table}`, prompt], [`param.${keys.delta}`, still]]);
  },
  build: ({ params }) => params.prompt,
});
