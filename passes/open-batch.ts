/** Opens the batch axis, so that the gradient can be computed a few rows at a time. */
import { z } from "zod";
import { cloneModel } from "../src/ir/clone.ts";
import { definePass } from "../src/pass/define.ts";
import { openBatch } from "../src/rewrite/open-batch.ts";

export default definePass({
  name: "open-batch",
  summary: "Take what the loss is divided by out of the graph, so that gradients of parts of a batch add up",
  options: z.strictObject({}),
  statistics: { opened: "graphs whose loss is a sum over rows" },
  run: (model, { stat, remark }) => {
    const opened = cloneModel(model);
    const reason = openBatch(opened.graph, model.opset);
    if (reason !== undefined) {
      remark(`batches are computed whole: ${reason}`);
      return false;
    }
    model.graph.replaceBy(opened.graph);
    stat("opened", 1);
    return true;
  },
});
