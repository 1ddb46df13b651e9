/** Mean squared error, for regression and for features. */
import { z } from "zod";
import { rankOf, shapeOf } from "../../src/ops/facts.ts";
import { defineLoss } from "../../src/training/define-loss.ts";

export default defineLoss({
  name: "mse",
  summary: "Mean of the squared difference to a target",
  options: z.strictObject({
    labels: z.string().default("labels").describe("batch field with the targets"),
    squeeze: z.boolean().default(false).describe("the output's last axis has size 1 and the targets lack it"),
  }),
  build: ({ logits, label, b, options }) => {
    const scores = options.squeeze ? b.squeeze(logits, [rankOf(logits) - 1]) : logits;
    const targets = label(options.labels, "float32", shapeOf(scores));
    const difference = b.sub(scores, targets);
    const count = b.reduceSum(b.fillLike(targets, 1), undefined, false);
    // What is divided by is not what is counted, so that the one may be taken of all rows, the other of some.
    const divisor = b.reduceSum(b.fillLike(targets, 1), undefined, false);
    return { loss: b.div(b.reduceSumSquare(difference, undefined, false), divisor), count, divisor };
  },
});
