/** The options of LoRA, under the names of PEFT's LoraConfig. */
import { z } from "zod";
import { byPattern, checkLayers, targetOptions } from "../../../src/adapt/targets.ts";
import { tokenIndices } from "../parts/token-companion.ts";

/** Configuration of a variant: null where it is not asked for. */
function configOf<S extends z.ZodRawShape>(
  shape: S,
  description: string,
): z.ZodDefault<z.ZodNullable<z.ZodObject<S, z.core.$strict>>> {
  return z.strictObject(shape).nullable().default(null).describe(description);
}

const kasa = {
  beta: z.number().min(0).default(1e-4),
  gamma: z.number().min(0).default(1e-3),
};

const velora = {
  num_groups: z.int().min(1).default(64),
  scale: z.number().positive().default(1),
  init_type: z.enum(["batch_average", "batch_average_once", "random"]).default("batch_average"),
};

const monteclora = {
  num_samples: z.int().min(1).default(4),
  sample_scaler: z.number().default(3e-4),
  kl_loss_weight: z.number().min(0).default(1e-5),
  dirichlet_prior: z.number().positive().default(1),
  use_entropy: z.boolean().default(true),
  buffer_size: z.int().min(1).default(150),
};

const blocks = {
  target_modules_bd_a: z.array(z.string()).nullable().default(null),
  target_modules_bd_b: z.array(z.string()).nullable().default(null),
  nblocks: z.int().min(1).default(1),
  match_strict: z.boolean().default(true),
};

const eva = {
  rho: z.number().min(1).default(2),
  tau: z.number().min(0).max(1).default(0.99),
  use_label_mask: z.boolean().default(true),
  label_mask_value: z.int().default(-100),
  whiten: z.boolean().default(false),
  adjust_scaling_factors: z.boolean().default(true),
};

const corda = {
  corda_method: z.enum(["ipm", "kpm"]).default("ipm"),
  // Of PEFT's preparation, which keeps its results in files.
  cache_file: z.string().nullable().default(null),
  covariance_file: z.string().nullable().default(null),
  verbose: z.boolean().default(false),
  use_float16_for_covariance: z.boolean().default(false),
  prune_temporary_fields: z.boolean().default(true),
};

const loraGa = {
  direction: z.enum(["ArBr", "A2rBr", "ArB2r", "random"]).default("ArB2r"),
  scale: z.enum(["stable", "weight_svd", "gd_scale", "unit"]).default("stable"),
  stable_gamma: z.number().positive().default(16),
};

const loftq = {
  loftq_bits: z.union([z.literal(2), z.literal(4), z.literal(8)]),
  loftq_iter: z.int().min(1),
};

const starts = z.enum([
  "gaussian",
  "orthogonal",
  "pissa",
  "olora",
  "mica",
  "eva",
  "corda",
  "lora_ga",
  "loftq",
]);

export const options = z
  .strictObject({
    r: z.int().min(1).default(8).describe("rank of the update"),
    lora_alpha: z.number().default(8).describe("numerator of the scaling: lora_alpha / r"),
    use_rslora: z
      .boolean()
      .default(false)
      .describe("scale by lora_alpha / sqrt(r) instead (arXiv:2312.03732)"),
    lora_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of A"),
    init_lora_weights: z
      .union([z.boolean(), starts, z.templateLiteral(["pissa_niter_", z.int().nonnegative()])])
      .default(true)
      .describe(
        "true: A Kaiming uniform, B zero; false: both random; gaussian: A normal with deviation 1/r; orthogonal: both, product " +
          "zero; pissa: the largest singular parts of the weight, which loses them (arXiv:2404.02948), pissa_niter_N: by N " +
          "rounds of a random search; olora: the first parts of its QR decomposition (arXiv:2406.01775); mica: A zero, B the " +
          "smallest left singular vectors, not trained (arXiv:2604.01694); eva: the directions of what modules read " +
          "(arXiv:2410.07170), corda: parts of the weight by what it reads (arXiv:2406.05223), lora_ga: parts of its gradient " +
          "(arXiv:2407.05000), all three from batches of data; loftq: the largest singular parts of what the weight loses where " +
          "it is quantised, which it is then (arXiv:2310.08659)",
      ),
    eva_config: configOf(
      eva,
      "of init_lora_weights eva: ranks move to modules whose inputs need them, up to rho times r, and lora_alpha with them if " +
        "adjust_scaling_factors; batches are read until directions turn by less than tau says; tokens whose label is " +
        "label_mask_value do not count if use_label_mask; whiten divides by the deviations",
    ),
    corda_config: configOf(
      corda,
      "of init_lora_weights corda: ipm adapts the largest parts, kpm the smallest; the other fields are of PEFT's files",
    ),
    lora_ga_config: configOf(
      loraGa,
      "of init_lora_weights lora_ga: which singular parts of the gradient are A and B, and how large they are",
    ),
    loftq_config: z
      .strictObject(loftq)
      .partial()
      .default({})
      .describe(
        "of init_lora_weights loftq: loftq_bits of the weight, 4 unless given, and loftq_iter rounds of quantising what the " +
          "factors leave, 1 unless given",
      ),
    bias: z
      .enum(["none", "all", "lora_only"])
      .default("none")
      .describe("which biases of the base model are trained, too"),
    rank_pattern: byPattern(z.int().min(1))
      .default({})
      .describe("ranks by regular expression over the end of a path"),
    alpha_pattern: byPattern(z.number()).default({}).describe("lora_alpha in the same way"),
    use_dora: z
      .boolean()
      .default(false)
      .describe("learn the magnitude of each output apart from its direction (DoRA, arXiv:2402.09353)"),
    use_qalora: z
      .boolean()
      .default(false)
      .describe(
        "on quantised weights, let A read means of groups of inputs (QA-LoRA, arXiv:2309.14717); others stay as they are",
      ),
    qalora_group_size: z.int().min(1).default(16).describe("inputs in a group of use_qalora"),
    use_bdlora: configOf(
      blocks,
      "factors of nblocks blocks on the diagonal (BD-LoRA, arXiv:2510.23346): A in modules whose name contains one of " +
        "target_modules_bd_a, B in those of target_modules_bd_b; match_strict refuses modules that are in neither",
    ),
    alora_invocation_tokens: z
      .array(z.int().nonnegative())
      .min(1)
      .nullable()
      .default(null)
      .describe("adapt a row only from the last place on where these tokens stand (aLoRA, arXiv:2504.12397)"),
    velora_config: configOf(
      velora,
      "train A by inputs that are compressed to one number for each of num_groups groups, times scale (VeLoRA, " +
        "arXiv:2405.17991); init_type says what they are projected on",
    ),
    monteclora_config: configOf(
      monteclora,
      "add noise to A in training, from a distribution that is trained, too (MonteCLoRA, arXiv:2411.04358): the mean of " +
        "num_samples draws times sample_scaler, with a prior of weight kl_loss_weight in auxiliary_loss",
    ),
    kasa_config: configOf(
      kasa,
      "take the r smallest singular parts off the weight, and put trained singular values between B and A (KaSA, " +
        "arXiv:2412.06071); beta and gamma weigh their squares, and the distance of B and A from orthogonality, in auxiliary_loss",
    ),
    auxiliary_loss: z
      .boolean()
      .default(false)
      .describe("add the loss terms of kasa_config and monteclora_config, which PEFT leaves to the trainer"),
    trainable_token_indices: tokenIndices,
    target_parameters: z
      .array(z.string().endsWith(".weight"))
      .nullable()
      .default(null)
      .describe(
        "weights to adapt by the ends of their own names, such as down_proj.weight; those of linear modules only. An empty " +
          "list of target_modules adapts these alone",
      ),
    ensure_weight_tying: z
      .boolean()
      .default(false)
      .describe(
        "adapt an output layer that has the weight of an adapted table with it, by the same factors; of a table in " +
          "modules_to_save it has the trained weight",
      ),
    lora_bias: z.boolean().default(false).describe("give B a trainable bias"),
    ...targetOptions,
  })
  .check(checkLayers);

export type Options = z.output<typeof options>;

/** The factor before BA. */
export function scalingOf({ lora_alpha, r, use_rslora }: Options): number {
  return use_rslora ? lora_alpha / Math.sqrt(r) : lora_alpha / r;
}
