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
    // log(1 + exp(x)) - x t, whose slope is right at 0, too, where that of max(x, 0) and |x| is not.
    const each = b.sub(b.op("Softplus", [logits]), b.mul(logits, targets));
    const count = b.reduceSum(b.fillLike(targets, 1), undefined, false);
    const divisor = b.reduceSum(b.fillLike(targets, 1), undefined, false);
    return { loss: b.div(b.reduceSum(each, undefined, false), divisor), count, divisor };
  },
});
