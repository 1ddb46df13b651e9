/** Computes the gradient of a batch a few rows at a time. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { bytesOfPart, loopOverParts } from "../src/training/micro-batch.ts";

export default definePass({
  name: "micro-batch",
  summary: "Compute the gradient a few rows of the batch at a time, as many as fit into a cache",
  options: z.strictObject({
    rows: z.int().min(0).default(0).describe("rows of a part; as many as `bytes` allows for 0"),
    bytes: z
      .int()
      .min(1)
      .default(bytesOfPart)
      .describe("how large the largest value of a part may be, unless one row is larger"),
  }),
  statistics: { loops: "graphs that compute parts of a batch one after the other" },
  run: (model, { options, stat }) => {
    const looped = loopOverParts(model.graph, options, model.opset);
    if (looped === undefined) return false;
    model.graph.replaceBy(looped);
    stat("loops", 1);
    return true;
  },
});
