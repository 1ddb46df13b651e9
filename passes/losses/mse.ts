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
    const count = b.cast(b.op("Size", [scores]), "float32");
    return { loss: b.div(b.reduceSumSquare(difference, undefined, false), count), count };
  },
});
