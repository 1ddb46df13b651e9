/** The loss that the model computes itself, from label inputs of its own. */
import { z } from "zod";
import { defineLoss } from "../../src/training/define-loss.ts";

export default defineLoss({
  name: "existing",
  summary: "A scalar output of the model that is a loss already",
  options: z.strictObject({}),
  build: ({ logits, b }) => ({ loss: b.reduceSum(logits, undefined, false), count: b.scalar(1, "float32") }),
});
