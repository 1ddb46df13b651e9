/** What can be asked of `compile`, with its defaults: the one description behind API, command line and configuration file. */
import { z } from "zod";
import { scheduleSchema } from "../artifact/manifest.ts";
import { taskNames } from "../training/tasks.ts";
import { optimizationNames } from "./optimizations.ts";

export const compileSchema = z.strictObject({
  method: z
    .strictObject({
      name: z.string().default("lora"),
      options: z.record(z.string(), z.unknown()).default({}),
    })
    .prefault({})
    .describe("fine-tuning method and its options under PEFT's names"),
  task: z.enum([...taskNames, "auto"]).default("auto"),
  /** Instead of the task's own. */
  loss: z
    .strictObject({
      name: z.string(),
      options: z.record(z.string(), z.unknown()).default({}),
      logits: z.string().default(""),
    })
    .optional(),
  optimizer: z
    .strictObject({
      name: z.string().default("adamw"),
      options: z.record(z.string(), z.unknown()).default({}),
    })
    .prefault({}),
  schedule: scheduleSchema.default({ kind: "constant", warmup: 0, final: 0 }),
  clip: z.number().positive().optional(),
  precision: z.enum(["fp32", "fp16", "bf16"]).default("fp32"),
  scaling: z
    .strictObject({
      scale: z.number().positive().optional(),
      growth: z.number().min(1).optional(),
      backoff: z.number().positive().max(1).optional(),
      interval: z.int().min(1).optional(),
    })
    .default({}),
  /** How frozen weights of products are held; `int8` and `int4` round them, see `quantize-base`. */
  base: z.enum(["fp32", "int8", "int4"]).default("fp32"),
  provider: z.enum(["cpu", "cuda", "webgpu", "wasm"]).default("cpu"),
  accumulate: z.int().min(1).default(1),
  accumulateBy: z.enum(["batches", "tokens"]).default("batches"),
  stepsPerRun: z.int().min(1).default(1),
  portable: z.boolean().default(false),
  /** Optimizations to leave out, to see what they gain. */
  disable: z.array(z.enum(optimizationNames)).default([]),
  /** Whether forward values are computed again in the backward graph: all, or under auto what `memory` calls for. */
  recompute: z.enum(["none", "all", "auto"]).default("auto"),
  /** What a step may add to the weights, in bytes, at which sizes of the batch and of the other named axes. */
  memory: z
    .strictObject({
      bytes: z.number().positive(),
      batch: z.int().min(1).default(8),
      seq: z.int().min(1).default(128),
    })
    .optional(),
  /** Whether the runtime copies weights of products into the layout of its kernels; `auto` where the copies are small. */
  prepack: z.enum(["auto", "all", "none"]).default("auto"),
  hash: z.enum(["sampled", "full"]).default("sampled"),
  seed: z.int().default(0),
  /** `modules_to_save` as the task asks for it, unless set here or in the method's options; empty for none. */
  modulesToSave: z.array(z.string()).optional(),
});

/** A request as a caller writes it. */
export type CompileRequest = z.input<typeof compileSchema>;
export type CompileSettings = z.output<typeof compileSchema>;
