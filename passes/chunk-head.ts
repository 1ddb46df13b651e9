/** Computes a language model's head, its loss and the gradient of its input in chunks of rows. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { chunkHeads } from "../src/rewrite/chunk-head.ts";

export default definePass({
  name: "chunk-head",
  summary: "Compute the scores of a large vocabulary in chunks of rows, with their loss and its gradient",
  options: z.strictObject({
    bytes: z
      .int()
      .min(4)
      .default(2 ** 24)
      .describe("Bytes of the scores of one chunk; where all are known to be no more, they are left whole"),
    classes: z.int().min(1).default(4096).describe("Classes below which a head is left whole"),
  }),
  statistics: { heads: "heads that are computed in chunks" },
  run: (model, { options, stat }) => {
    const heads = chunkHeads(model.graph, model.opset, options);
    stat("heads", heads);
    return heads > 0;
  },
});
