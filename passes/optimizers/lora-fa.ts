/** LoRA-FA: trains the factors B alone, with gradients that undo what the frozen A does to them. */
import { z } from "zod";
import type { Value } from "../../src/ir/value.ts";
import { biasCorrection, defineOptimizer } from "../../src/training/define-optimizer.ts";
import { decayOption, decoupled } from "./core/decay.ts";
import {
  dampedInverses,
  factorGroups,
  factorPairs,
  withoutPairs,
  withReplaced,
} from "./core/factor-pairs.ts";
import { momentOptions } from "./core/moments.ts";

export default defineOptimizer({
  name: "lora-fa",
  summary: "Trains the factors B of low-rank updates alone, with projected gradients; the factors A stay",
  paper:
    "Zhang et al. 2023, LoRA-FA: Memory-efficient Low-rank Adaptation for Large Language Models Fine-tuning, https://arxiv.org/abs/2308.03303",
  options: z.strictObject({
    ...momentOptions,
    eps: z
      .number()
      .positive()
      .default(1e-6)
      .describe("added to the root in the denominator, before its correction"),
    weight_decay: decayOption.default(0),
  }),
  state: () => ["m", "v"],
  trains: ({ group }) => group !== factorGroups.A,
  lacks: (slices) => {
    const deep = factorPairs(slices).find(({ a, rank }) => rank > (slices[a]?.shape[1] ?? 0));
    if (deep === undefined) return withoutPairs(slices);
    const [rank, width] = slices[deep.a]?.shape ?? [];
    return { expected: "ranks up to the width of what A reads", got: `rank ${rank} for width ${width}` };
  },
  // grad B <- grad B (A A^T + 1e-8 I)^-1 / s^2, then the AdamW that transformers once had: eps outside the correction, decay last.
  update: (context) => {
    const { param, grad, state, lr, step, b, layout, all, options: o } = context;
    const everything = all.layout.split(b, all.param);
    const pairs = factorPairs(all.layout.slices);
    const inverses = dampedInverses(
      b,
      pairs.flatMap(({ a }) => everything.slice(a, a + 1)),
      1e-8,
      pairs.map(({ rank }) => rank),
    );
    const replaced = new Map(
      pairs.flatMap((pair, i) => {
        const [slice, inverse] = [all.layout.slices[pair.b], inverses[i]];
        const place = layout.slices.findIndex(({ key }) => key === slice?.key);
        if (slice === undefined || inverse === undefined) return [];
        const scale = 1 / Number(slice.factor ?? 1) ** 2;
        return [[place, (tensor: Value) => b.mul(b.matmul(tensor, inverse), scale)] as const];
      }),
    );
    const projected = withReplaced(b, layout, grad, replaced);
    const m = b.add(b.mul(state.m, o.beta1), b.mul(projected, 1 - o.beta1));
    const v = b.add(b.mul(state.v, o.beta2), b.mul(b.mul(projected, projected), 1 - o.beta2));
    const size = b.div(b.mul(lr, b.sqrt(biasCorrection(b, o.beta2, step))), biasCorrection(b, o.beta1, step));
    const moved = b.sub(param, b.div(b.mul(m, size), b.add(b.sqrt(v), o.eps)));
    return { param: decoupled({ param: moved, lr, b }, o.weight_decay), state: { m, v } };
  },
});
