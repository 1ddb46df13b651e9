/** Computes what depends on constants only, within bounds, and leaves parameters of the model as they are. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { Folder } from "../src/rewrite/fold.ts";

export default definePass({
  name: "fold",
  summary: "Compute nodes whose operands are constant, but never anew what is a parameter of the model",
  options: z.strictObject({
    limit: z.int().min(1).default(65536).describe("Most elements of a result"),
    read: z
      .int()
      .min(0)
      .default(4096)
      .describe("Most elements of an operand that lies in a file or is computed on demand"),
    work: z
      .int()
      .min(0)
      .default(2 ** 24)
      .describe("Most element operations in all"),
    parameters: z
      .boolean()
      .default(false)
      .describe("Fold float and 8-bit tensors of the file, too, such as weights"),
  }),
  statistics: {
    folded: "nodes replaced by constants",
    elements: "elements of the constants that were made",
  },
  run: (model, { options, stat, remark }) => {
    const folder = new Folder(model.opset, options, { stat, remark });
    folder.fold(model.graph);
    return folder.changed;
  },
});
