/** Binary cross-entropy on logits, as torch.nn.BCEWithLogitsLoss computes it: for several labels per row. */
import { z } from "zod";
import { shapeOf } from "../../src/ops/facts.ts";
import { defineLoss } from "../../src/training/define-loss.ts";

export default defineLoss({
  name: "bce",
  summary: "Mean binary cross-entropy of each score against a target between 0 and 1",
  options: z.strictObject({ labels: z.string().default("labels").describe("batch field with the targets") }),
  build: ({ logits, label, b, options }) => {
    const targets = label(options.labels, "float32", shapeOf(logits));
    // max(x, 0) - x t + log(1 + exp(-|x|)) does not overflow.
    const rest = b.log(b.add(b.exp(b.neg(b.abs(logits))), 1));
    const each = b.add(b.sub(b.op("Relu", [logits]), b.mul(logits, targets)), rest);
    const count = b.cast(b.op("Size", [logits]), "float32");
    return { loss: b.div(b.reduceSum(each, undefined, false), count), count };
  },
});
