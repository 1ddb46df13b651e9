/** AdamW: Adam with decoupled weight decay, as torch.optim.AdamW computes it. */
import { z } from "zod";
import { defineOptimizer } from "../../src/training/define-optimizer.ts";
import { decayOption, decoupled } from "./core/decay.ts";
import { momentOptions, momentStep } from "./core/moments.ts";

export default defineOptimizer({
  name: "adamw",
  summary: "Adam with decoupled weight decay",
  paper:
    "Loshchilov and Hutter 2017, Decoupled Weight Decay Regularization, https://arxiv.org/abs/1711.05101",
  options: z.strictObject({
    ...momentOptions,
    weight_decay: decayOption.default(0.01),
  }),
  state: () => ["m", "v"],
  update: (context) => {
    const { change, state } = momentStep(context);
    return { param: context.b.sub(decoupled(context, context.options.weight_decay), change), state };
  },
});
