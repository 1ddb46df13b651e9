/** Adam, as torch.optim.Adam computes it: weight decay, where asked for, is part of the gradient. */
import { z } from "zod";
import { defineOptimizer } from "../../src/training/define-optimizer.ts";
import { momentOptions, momentStep } from "./core/moments.ts";

export default defineOptimizer({
  name: "adam",
  summary: "Adaptive moments; weight decay is added to the gradient",
  paper: "Kingma and Ba 2014, Adam: A Method for Stochastic Optimization, https://arxiv.org/abs/1412.6980",
  options: z.strictObject({
    ...momentOptions,
    weight_decay: z
      .number()
      .nonnegative()
      .default(0)
      .describe("factor of the parameter that is added to its gradient"),
  }),
  state: () => ["m", "v"],
  update: (context) => {
    const { param, grad, b, options } = context;
    const pulled = options.weight_decay === 0 ? grad : b.add(grad, b.mul(param, options.weight_decay));
    const { change, state } = momentStep({ ...context, grad: pulled });
    return { param: b.sub(param, change), state };
  },
});
