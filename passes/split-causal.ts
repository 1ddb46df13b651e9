/** Leaves out the half of attention that a causal mask throws away. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { splitCausal } from "../src/rewrite/split-causal.ts";

export default definePass({
  name: "split-causal",
  summary: "Compute attention under a causal mask in blocks of rows that look at no later column",
  options: z.strictObject({
    blocks: z.int().min(2).max(64).default(4).describe("Blocks that the rows are split into"),
    shortest: z
      .int()
      .min(2)
      .default(128)
      .describe("Length below which a sequence is left whole, where it is known"),
    padded: z
      .boolean()
      .default(false)
      .describe("Split too where a row may see nothing at all, whose result is then another one"),
  }),
  statistics: { split: "attentions that were split" },
  run: (model, { options, stat }) => {
    const split = splitCausal(model.graph, model.opset, options);
    stat("split", split);
    return split > 0;
  },
});
