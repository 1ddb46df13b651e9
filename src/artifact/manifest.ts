/** The manifest of a training artifact: what each graph reads and yields, by role, so that a runner never guesses. */
import { z } from "zod";

/** Format identifier; a reader refuses others. */
export const manifestFormat = "peft-compile/1";

/** What a graph input is for. */
export const inputRoles = ["batch", "label", "param", "state", "grad", "hyper", "rng", "scale"] as const;

/** What a graph output is. `metric` covers counts and flags such as `skipped` and `grad_norm`. */
export const outputRoles = ["loss", "logits", "next", "metric", "grad", "output"] as const;

/** A dimension: a number, or the text of a symbolic expression such as `batch` or `batch*seq`. */
const dimension = z.union([z.int().nonnegative(), z.string()]);

/** A part of a flat buffer: parameter (or state) `key` lies at `offset` elements, row-major with this shape. */
const sliceSchema = z.strictObject({
  key: z.string(),
  offset: z.int().nonnegative(),
  shape: z.array(z.int().nonnegative()),
});

const portFields = {
  name: z.string(),
  dtype: z.string(),
  shape: z.array(dimension),
};

const inputSchema = z.strictObject({
  ...portFields,
  role: z.enum(inputRoles),
  /** For `batch` and `label`: name of the field of a batch that is fed here. */
  field: z.string().optional(),
  /** For `param`, `state`, `scale` and `grad`: key in state.safetensors, unless `slices` spread over several keys. */
  key: z.string().optional(),
  slices: z.array(sliceSchema).optional(),
  /** For `hyper` (such as `lr`, `step`) and `rng`: what it is; the runner computes it for each step. */
  hyper: z.string().optional(),
  /** For integer inputs that index a table: ids must lie below this. */
  below: z.int().positive().optional(),
});

const outputSchema = z.strictObject({
  ...portFields,
  role: z.enum(outputRoles),
  /** For `next`: input that this value is fed to at the next step. */
  feeds: z.string().optional(),
  /** For `grad`: parts by parameter key. */
  slices: z.array(sliceSchema).optional(),
  /** For `metric`: what it is, such as `skipped`, `grad_norm`, `tokens`. */
  metric: z.string().optional(),
  /** For `logits` and `output`: so many positions at the start of the second axis belong to virtual tokens. */
  virtual: z.int().positive().optional(),
});

const graphSchema = z.strictObject({
  /** File inside the artifact. */
  file: z.string(),
  inputs: z.array(inputSchema),
  outputs: z.array(outputSchema),
  /** Optimizer steps of one run; batch and hyper inputs then carry them stacked on a new first axis. */
  stepsPerRun: z.int().positive().default(1),
});

/** A file that weights are read from, as it was when the artifact was compiled. */
export const sourceFileSchema = z.strictObject({
  name: z.string(),
  size: z.int().nonnegative(),
  /** Modification time, milliseconds since 1970. */
  modified: z.number(),
  /** Hash of the first, middle and last 64 KiB, or of everything under `--hash full`. */
  sha256: z.string(),
  hash: z.enum(["sampled", "full"]),
});

export const scheduleSchema = z.strictObject({
  kind: z.enum(["constant", "linear", "cosine"]),
  /** Steps over which the rate rises linearly from 0. */
  warmup: z.int().nonnegative().default(0),
  /** Steps over which the rate falls to `final`; the run's own number of steps where it is absent. */
  total: z.int().positive().optional(),
  /** Share of the peak rate at the end. */
  final: z.number().min(0).max(1).default(0),
});

export const manifestSchema = z.strictObject({
  format: z.literal(manifestFormat),
  /** Version of the package that wrote it. */
  producer: z.string(),
  source: z.strictObject({
    model: z.string(),
    /** Folder of the user's model, relative to the artifact where it can be, else absolute. */
    folder: z.string(),
    weights: z.enum(["reference", "link", "copy"]),
    files: z.array(sourceFileSchema),
    /** Hash of the model file without the bytes of weights. */
    structure: z.string(),
    opset: z.int(),
  }),
  method: z.strictObject({
    name: z.string(),
    options: z.record(z.string(), z.unknown()),
    /** Module paths that the method adapts, and those trained whole. */
    sites: z.array(z.strictObject({ path: z.string(), kind: z.string() })),
    saved: z.array(z.string()),
    /** What a folder for PEFT has otherwise than options and tensors say: fields, and keys that repeat a tensor. */
    peft: z
      .strictObject({
        config: z.record(z.string(), z.unknown()),
        aliases: z.record(z.string(), z.string()),
      })
      .default({ config: {}, aliases: {} }),
    /** Path of a file given with `--use`, for methods from outside the package. */
    use: z.string().optional(),
  }),
  task: z.strictObject({
    name: z.string(),
    options: z.record(z.string(), z.unknown()),
    /** Name of the output that holds the logits in eval.onnx. */
    logits: z.string().optional(),
    numLabels: z.int().positive().optional(),
    labelNames: z.array(z.string()).optional(),
    /** Rows of the position table: longer inputs are cut. */
    maxPositions: z.int().positive().optional(),
  }),
  optimizer: z.strictObject({
    name: z.string(),
    options: z.record(z.string(), z.unknown()),
    schedule: scheduleSchema,
    /** Gradients are scaled down to this global norm before the update. */
    clip: z.number().positive().optional(),
    accumulate: z.int().positive(),
    /** Mean of the micro-batch losses, or one mean over all labelled positions. */
    accumulateBy: z.enum(["batches", "tokens"]).default("batches"),
  }),
  precision: z.enum(["fp32", "fp16", "bf16"]),
  provider: z.enum(["cpu", "cuda", "webgpu", "wasm"]),
  /** Whether the runtime may copy weights into the layout of its kernels when it opens a graph. */
  prepack: z.boolean().default(true),
  trainable: z.int().nonnegative(),
  parameters: z.int().nonnegative(),
  seed: z.int(),
  graphs: z.strictObject({
    train: graphSchema,
    eval: graphSchema,
    grad: graphSchema,
    apply: graphSchema,
  }),
  state: z.string(),
});

export type Manifest = z.output<typeof manifestSchema>;
export type GraphManifest = z.output<typeof graphSchema>;
export type InputPort = z.output<typeof inputSchema>;
export type OutputPort = z.output<typeof outputSchema>;
export type Schedule = z.output<typeof scheduleSchema>;
