/** LoRA+: AdamW with a larger learning rate for the factors B. */
import { z } from "zod";
import { countElements } from "../../src/ir/shape.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { defineOptimizer } from "../../src/training/define-optimizer.ts";
import type { FlatSlice } from "../../src/training/flatten.ts";
import { decayOption } from "./core/decay.ts";
import { factorGroups, withoutPairs } from "./core/factor-pairs.ts";
import { momentOptions, momentStep } from "./core/moments.ts";

/** As in PEFT: what belongs to an embedding, and what is B or a vector. */
const isEmbedding = ({ group }: FlatSlice): boolean => group?.includes("embedding") === true;
const isFast = ({ group, shape }: FlatSlice): boolean => group === factorGroups.B || shape.length === 1;

/** Biases and vectors of the base model, such as the weights of norms, are not decayed. */
const isDecayed = ({ key, group, shape }: FlatSlice): boolean =>
  !key.endsWith("bias") && !(group === "base" && shape.length === 1);

export default defineOptimizer({
  name: "lora-plus",
  summary: "AdamW with a larger learning rate for the factors B of low-rank updates",
  paper:
    "Hayou et al. 2024, LoRA+: Efficient Low Rank Adaptation of Large Models, https://arxiv.org/abs/2402.12354",
  options: z.strictObject({
    ...momentOptions,
    loraplus_lr_ratio: z.number().min(1).default(16).describe("learning rate of B over that of A"),
    loraplus_lr_embedding: z
      .number()
      .nonnegative()
      .default(1e-6)
      .describe("peak learning rate of the factors of embeddings, which follows the schedule of lr"),
    loraplus_weight_decay: decayOption.default(0),
  }),
  state: () => ["m", "v"],
  lacks: (slices) => (slices.some(isEmbedding) ? undefined : withoutPairs(slices)),
  update: (context) => {
    const { param, b, lr, layout, options: o } = context;
    const { change, state } = momentStep(context);
    const ratioOf = (slice: FlatSlice): number => {
      if (isEmbedding(slice)) return o.lr === 0 ? 0 : o.loraplus_lr_embedding / o.lr;
      return isFast(slice) ? o.loraplus_lr_ratio : 1;
    };
    const decayOf = (slice: FlatSlice): number =>
      isDecayed(slice) ? ratioOf(slice) * o.loraplus_weight_decay : 0;
    const scaled = scaledRuns(b, change, layout.slices, ratioOf);
    if (o.loraplus_weight_decay === 0) return { param: b.sub(param, scaled), state };
    const lost = b.mul(scaledRuns(b, param, layout.slices, decayOf), lr);
    return { param: b.sub(b.sub(param, lost), scaled), state };
  },
});

/** A vector times a number for each tensor; neighbours with the same one stay together. */
function scaledRuns(
  b: OpBuilder,
  flat: Value,
  slices: readonly FlatSlice[],
  factorOf: (slice: FlatSlice) => number,
): Value {
  const runs: { factor: number; size: number }[] = [];
  for (const slice of slices) {
    const [factor, size] = [factorOf(slice), countElements(slice.shape)];
    const last = runs.at(-1);
    if (last?.factor === factor) last.size += size;
    else runs.push({ factor, size });
  }
  const sizes = b.ints(runs.map(({ size }) => size));
  const parts = runs.length === 1 ? [flat] : b.ops("Split", [flat, sizes], { axis: 0 }, runs.length);
  const scaled = parts.map((part, i) => b.mul(part, runs[i]?.factor ?? 1));
  return scaled.length === 1 ? b.mul(flat, runs[0]?.factor ?? 1) : b.concat(scaled, 0);
}
