/** Computes values of the forward graph again in the backward graph, instead of keeping them. */
import { z } from "zod";
import { phasesOf } from "../src/ir/phase.ts";
import { definePass } from "../src/pass/define.ts";
import { applyChoice, everything, fitBudget } from "../src/rewrite/recompute-plan.ts";

export default definePass({
  name: "recompute",
  summary: "Compute forward values again where backward reads them, block by block, to hold less at once",
  options: z.strictObject({
    memory: z
      .number()
      .nonnegative()
      .default(0)
      .describe(
        "bytes that a step may add to the weights; the cheapest blocks that do it are computed again, all for 0",
      ),
    batch: z.int().min(1).default(8).describe("size of the first axis that the memory is meant for"),
    seq: z.int().min(1).default(128).describe("size of the other named axes that it is meant for"),
  }),
  statistics: { nodes: "nodes that run twice", segments: "blocks that are computed again" },
  run: (model, { options, stat, remark }) => {
    if (![...phasesOf(model.graph).values()].includes("backward")) return false;
    const { memory, batch, seq } = options;
    const found = memory === 0 ? undefined : fitBudget(model, memory, { batch, seq });
    const choice = found?.choice ?? everything(model);
    const nodes = applyChoice(model, choice);
    const segments = choice.filter((extent) => extent !== undefined).length;
    if (found !== undefined) {
      const what = `${(found.growth / 1e6).toFixed(0)} MB beside the weights, ${found.time.toFixed(2)} times the work`;
      remark(
        `recompute ${segments} of ${choice.length} blocks: ${what} for a batch of ${batch} and a length of ${seq}`,
      );
    }
    stat("nodes", nodes);
    stat("segments", nodes === 0 ? 0 : segments);
    return nodes > 0;
  },
});
