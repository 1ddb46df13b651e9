/** The step that Adam and AdamW share: bias-corrected first moment over the root of the second. */
import { z } from "zod";
import type { Value } from "../../../src/ir/value.ts";
import { biasCorrection, type UpdateContext } from "../../../src/training/define-optimizer.ts";

/** Options of both. */
export const momentOptions = {
  lr: z.number().nonnegative().default(1e-3).describe("peak learning rate"),
  beta1: z.number().min(0).lt(1).default(0.9).describe("decay of the mean of gradients"),
  beta2: z.number().min(0).lt(1).default(0.999).describe("decay of the mean of squared gradients"),
  eps: z.number().positive().default(1e-8).describe("added to the root in the denominator"),
};

interface MomentOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
}

/** lr * mHat / (sqrt(vHat) + eps) with the moments after this gradient (Kingma and Ba 2014, algorithm 1). */
export function momentStep({ grad, state, lr, step, b, options }: UpdateContext<MomentOptions, "m" | "v">): {
  readonly change: Value;
  readonly state: { readonly m: Value; readonly v: Value };
} {
  const { beta1, beta2, eps } = options;
  const m = b.add(b.mul(state.m, beta1), b.mul(grad, 1 - beta1));
  const v = b.add(b.mul(state.v, beta2), b.mul(b.mul(grad, grad), 1 - beta2));
  const root = b.add(b.div(b.sqrt(v), b.sqrt(biasCorrection(b, beta2, step))), eps);
  const size = b.div(lr, biasCorrection(b, beta1, step));
  return { change: b.div(b.mul(m, size), root), state: { m, v } };
}
