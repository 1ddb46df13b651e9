/** Stochastic gradient descent with momentum, as torch.optim.SGD computes it. */
import { z } from "zod";
import { defineOptimizer } from "../../src/training/define-optimizer.ts";

export default defineOptimizer({
  name: "sgd",
  summary: "Gradient descent, with momentum where asked for",
  paper:
    "Sutskever et al. 2013, On the importance of initialization and momentum in deep learning, https://proceedings.mlr.press/v28/sutskever13.html",
  options: z
    .strictObject({
      lr: z.number().nonnegative().default(1e-2).describe("peak learning rate"),
      momentum: z.number().min(0).lt(1).default(0).describe("decay of the velocity; 0 keeps none"),
      nesterov: z.boolean().default(false).describe("look ahead by one momentum step"),
      weight_decay: z
        .number()
        .nonnegative()
        .default(0)
        .describe("factor of the parameter that is added to its gradient"),
    })
    .check(({ value, issues }) => {
      if (!value.nesterov || value.momentum > 0) return;
      issues.push({
        code: "custom",
        path: ["nesterov"],
        message: "expected momentum above 0 beside it",
        input: value,
      });
    }),
  state: ({ momentum }) => (momentum > 0 ? ["velocity"] : []),
  // The velocity starts at zero, so the first step is the gradient itself, as in PyTorch with dampening 0.
  update: ({ param, grad, state, lr, b, options: { momentum, nesterov, weight_decay } }) => {
    const pulled = weight_decay === 0 ? grad : b.add(grad, b.mul(param, weight_decay));
    if (momentum === 0) return { param: b.sub(param, b.mul(pulled, lr)), state: { velocity: pulled } };
    const velocity = b.add(b.mul(state.velocity, momentum), pulled);
    const direction = nesterov ? b.add(pulled, b.mul(velocity, momentum)) : velocity;
    return { param: b.sub(param, b.mul(direction, lr)), state: { velocity } };
  },
});
