/** Multitask prompt tuning: one prompt for all tasks, scaled for each by a matrix of low rank. */
import { z } from "zod";
import { definePromptMethod } from "../../src/adapt/define-structure.ts";
import { normal } from "../../src/adapt/initializers.ts";
import { promptMisfit, promptOptions } from "./parts/prompt-config.ts";

const options = z.strictObject({
  ...promptOptions,
  num_ranks: z.int().min(1).default(1).describe("rank of each task's matrix"),
  num_tasks: z.int().min(1).default(1).describe("number of tasks"),
});

export default definePromptMethod({
  name: "multitask-prompt-tuning",
  peftType: "MULTITASK_PROMPT_TUNING",
  summary:
    "Puts virtual tokens before the real ones, shared by all tasks and scaled for the task of each row",
  formula: "embeddings = [P * (u_t v_t); E[ids]], with t from the batch field task_ids",
  paper:
    "Wang et al. 2023, Multitask Prompt Tuning Enables Parameter-Efficient Transfer Learning, https://arxiv.org/abs/2303.02861",
  options,
  peftConfig: {
    prompt_tuning_init: "RANDOM",
    prompt_tuning_init_text: null,
    prompt_tuning_init_state_dict_path: null,
    prompt_tuning_init_task: 0,
    tokenizer_name_or_path: null,
    tokenizer_kwargs: null,
  },
  bare: true,
  identityAtStart: () => false,
  virtualTokens: (o) => o.num_virtual_tokens,
  choose: (sites, o) => promptMisfit(sites, o) ?? sites,
  shared: (sites, o) => {
    const width = sites[0]?.width ?? 1;
    const rows = o.num_virtual_tokens * Math.max(1, sites.length);
    return {
      prompt: { key: "prompt_embeddings", shape: [rows, width], init: normal(1) },
      columns: { key: "prefix_task_cols", shape: [o.num_tasks, rows, o.num_ranks], init: normal(0.02) },
      rows: { key: "prefix_task_rows", shape: [o.num_tasks, o.num_ranks, width], init: normal(0.02) },
    };
  },
  build: ({ site, params: { prompt, columns, rows }, options: o, field, b }) => {
    const tasks = field({ name: "task_ids", dtype: "int64", shape: [site.batch], below: o.num_tasks });
    const scale = b.matmul(b.gather(columns, tasks), b.gather(rows, tasks));
    const first = site.index * o.num_virtual_tokens;
    const own = { starts: [first], ends: [first + o.num_virtual_tokens], axes: [1] };
    return b.slice(b.mul(b.unsqueeze(prompt, [0]), scale), own);
  },
});
