/** Riemannian preconditioning of low-rank factors, over AdamW. */
import { z } from "zod";
import { defineOptimizer } from "../../src/training/define-optimizer.ts";
import { decayOption, decoupled } from "./core/decay.ts";
import { dampedInverses, factorPairs, withoutPairs, withReplaced } from "./core/factor-pairs.ts";
import { momentOptions, momentStep } from "./core/moments.ts";

export default defineOptimizer({
  name: "riemannian",
  summary: "AdamW over gradients that the other factor of a low-rank product preconditions",
  paper:
    "Zhang and Pilanci 2024, Riemannian Preconditioned LoRA for Fine-Tuning Foundation Models, https://arxiv.org/abs/2402.02347",
  options: z.strictObject({
    ...momentOptions,
    weight_decay: decayOption.default(0.01),
    reg: z
      .number()
      .positive()
      .default(1e-2)
      .describe("added to the diagonal of A A^T and B^T B before inversion"),
  }),
  state: () => ["m", "v"],
  lacks: withoutPairs,
  // grad A <- (B^T B + reg I)^-1 grad A, grad B <- grad B (A A^T + reg I)^-1
  update: (context) => {
    const { param, grad, b, layout, options } = context;
    const tensors = layout.split(b, param);
    const pairs = factorPairs(layout.slices);
    const ranks = pairs.map(({ rank }) => rank);
    const at = (place: number): typeof tensors => tensors.slice(place, place + 1);
    const ofA = dampedInverses(
      b,
      pairs.flatMap(({ a }) => at(a)),
      options.reg,
      ranks,
    );
    const turned = pairs.flatMap((pair) => at(pair.b).map((tensor) => b.transpose(tensor, [1, 0])));
    const ofB = dampedInverses(b, turned, options.reg, ranks);
    const replaced = new Map(
      pairs.flatMap((pair, i) => {
        const [left, right] = [ofB[i], ofA[i]];
        if (left === undefined || right === undefined) return [];
        return [
          [pair.a, (tensor: typeof left) => b.matmul(left, tensor)] as const,
          [pair.b, (tensor: typeof left) => b.matmul(tensor, right)] as const,
        ];
      }),
    );
    const { change, state } = momentStep({ ...context, grad: withReplaced(b, layout, grad, replaced) });
    return { param: b.sub(decoupled(context, options.weight_decay), change), state };
  },
});
