/** AdamW: Adam with decoupled weight decay, as torch.optim.AdamW computes it. */
import { z } from "zod";
import { defineOptimizer } from "../../src/training/define-optimizer.ts";
import { momentOptions, momentStep } from "./core/moments.ts";

export default defineOptimizer({
  name: "adamw",
  summary: "Adam with decoupled weight decay",
  paper:
    "Loshchilov and Hutter 2017, Decoupled Weight Decay Regularization, https://arxiv.org/abs/1711.05101",
  options: z.strictObject({
    ...momentOptions,
    weight_decay: z
      .number()
      .nonnegative()
      .default(0.01)
      .describe("share of lr by which every parameter shrinks"),
  }),
  state: () => ["m", "v"],
  update: (context) => {
    const { param, lr, b, options } = context;
    const { change, state } = momentStep(context);
    const kept = options.weight_decay === 0 ? param : b.mul(param, b.sub(1, b.mul(lr, options.weight_decay)));
    return { param: b.sub(kept, change), state };
  },
});
