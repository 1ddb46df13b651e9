/** Options of dynamic loss scaling as passes take them. */
import { z } from "zod";
import type { LossScaling } from "./optimize.ts";

/** Defaults are those of torch.amp.GradScaler. */
export const scalingOptions = {
  scaling: z
    .boolean()
    .default(false)
    .describe("scale the loss, so that small 16-bit gradients do not vanish"),
  scale: z.number().positive().default(65536).describe("scale at the start"),
  growth: z.number().min(1).default(2).describe("factor after enough finite steps"),
  backoff: z.number().positive().max(1).default(0.5).describe("factor after a gradient that is not finite"),
  interval: z.int().min(1).default(2000).describe("finite steps in a row after which the scale grows"),
};

/** The scaling that parsed options ask for. */
export function scalingFrom(options: z.output<z.ZodObject<typeof scalingOptions>>): LossScaling | undefined {
  const { scaling, scale: initial, growth, backoff, interval } = options;
  return scaling ? { initial, growth, backoff, interval } : undefined;
}
