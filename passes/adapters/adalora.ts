/** AdaLoRA: a low-rank update in the form of a singular value decomposition, with a penalty on factors that are not orthogonal. */
import { z } from "zod";
import { defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { filled, normal } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { budgetHook } from "./parts/budget.ts";
import { distanceFromIdentity } from "./parts/inverse.ts";
import { sizesOf } from "./parts/layer-matrix.ts";
import { inheritedFromLora } from "./parts/lora-config.ts";
import { windowOf } from "./parts/window.ts";

/** More updates than any training has. */
const longest = 2 ** 31 - 1;

const kept = "of the schedule that drops singular values";

const options = z
  .strictObject({
    init_r: z.int().min(1).default(12).describe("rank of the update"),
    target_r: z.int().min(1).default(8).describe(`average rank at the end ${kept}`),
    tinit: z.int().nonnegative().default(0).describe(`steps before the start ${kept}`),
    tfinal: z.int().nonnegative().default(0).describe(`steps after the end ${kept}`),
    deltaT: z.int().min(1).default(1).describe(`steps between two changes ${kept}`),
    beta1: z.number().gt(0).lt(1).default(0.85).describe(`smoothing of sensitivities ${kept}`),
    beta2: z.number().gt(0).lt(1).default(0.85).describe(`smoothing of uncertainties ${kept}`),
    total_step: z
      .int()
      .min(1)
      .nullable()
      .default(null)
      .describe(`number of updates of the whole training ${kept}; null: none are dropped`),
    orth_reg_weight: z
      .number()
      .min(0)
      .default(0.5)
      .describe("weight in the loss of the mean distance of A A^T and B^T B from the identity"),
    lora_alpha: z.number().default(8).describe("numerator of the scaling: lora_alpha / init_r"),
    lora_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of A"),
    init_lora_weights: z.boolean().default(true).describe("true: E starts at 0; false: normal, like A and B"),
    bias: z
      .enum(["none", "all", "lora_only"])
      .default("none")
      .describe("which biases of the base model are trained, too"),
    ...targetOptions,
  })
  .check(checkLayers)
  .check(({ value, issues }) => {
    const { total_step: total, tinit, tfinal } = value;
    if (total === null || tinit + tfinal < total) return;
    const message = `expected tinit + tfinal below total_step, of which ${tinit} + ${tfinal} leave no step of ${total}`;
    issues.push({ code: "custom", path: ["total_step"], message, input: total });
  });

type Options = z.output<typeof options>;

/** PEFT divides by the initial rank plus a small number, and takes the rank where alpha is not positive. */
function scalingOf({ lora_alpha: alpha, init_r: r }: Options): number {
  return (alpha > 0 ? alpha : r) / (r + 1e-5);
}

type Params = Readonly<Record<"A" | "B" | "E", Value>>;

/** s B (A * E), as a matrix. */
function deltaOf({ A, B, E }: Params, o: Options, b: OpBuilder): Value {
  return b.mul(b.matmul(B, b.mul(A, E)), scalingOf(o));
}

export default defineAdapter({
  name: "adalora",
  peftType: "ADALORA",
  summary:
    "Adds a low-rank update in the form of a singular value decomposition, near orthogonality, and drops the singular values that matter least",
  formula:
    "y = W x + b + s B diag(E) A x, with s = lora_alpha / init_r; the loss gains a penalty on A A^T - I and B^T B - I; values E of small importance become 0 as the budget falls",
  paper:
    "Zhang et al. 2023, Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning, https://arxiv.org/abs/2303.10512",
  options,
  peftConfig: {
    ...inheritedFromLora,
    alpha_pattern: {},
    lora_bias: false,
    r: 8,
    rank_pattern: null,
    use_dora: false,
    use_rslora: false,
  },
  // PEFT takes no folder without a schedule: one whose start no training reaches drops nothing either.
  toPeft: ({ options: o, tensors }) => ({
    options: o.total_step === null ? { ...o, total_step: longest, tinit: longest - o.tfinal - 1 } : { ...o },
    tensors,
  }),
  sites: ["linear", "conv"],
  accepts: (site) =>
    site.kind === "conv" && site.groups > 1 ? "its convolution is grouped, while the factors are not" : true,
  identityAtStart: (o) => o.init_lora_weights,
  parameters: (site, o): Record<"A" | "B" | "E", ParameterSpec> => {
    const { outputs, inputs, window } = sizesOf(site);
    return {
      A: { key: "lora_A", shape: [o.init_r, inputs * window], init: normal(0.02), group: "lora_A" },
      B: { key: "lora_B", shape: [outputs, o.init_r], init: normal(0.02), group: "lora_B" },
      E: { key: "lora_E", shape: [o.init_r, 1], init: o.init_lora_weights ? filled(0) : normal(0.02) },
    };
  },
  penalty: (params, o, b) => {
    const terms = params.flatMap(({ A, B }) => [
      distanceFromIdentity(b.matmul(A, b.transpose(A, [1, 0])), o.init_r, b),
      distanceFromIdentity(b.matmul(b.transpose(B, [1, 0]), B), o.init_r, b),
    ]);
    const [first, ...rest] = terms;
    if (first === undefined || o.orth_reg_weight === 0) return undefined;
    return b.mul(
      rest.reduce((sum, term) => b.add(sum, term), first),
      o.orth_reg_weight / terms.length,
    );
  },
  hook: ({ total_step: total }) => (total === null ? undefined : budgetHook(total)),
  build: ({ site, x, y, params, options: o, b, dropout }) => {
    const dropped = dropout(x, o.lora_dropout);
    if (site.kind === "conv") {
      const kernel = b.reshape(deltaOf(params, o, b), [site.outChannels, site.inChannels, ...site.kernel]);
      return b.add(y, b.op("Conv", [dropped, kernel], windowOf(site)));
    }
    const { A, B, E } = params;
    const down = b.matmul(dropped, b.transpose(b.mul(A, E), [1, 0]));
    return b.add(y, b.matmul(down, b.mul(b.transpose(B, [1, 0]), scalingOf(o))));
  },
  merge: ({ site, weight, params, options: o, b }) => {
    const delta = deltaOf(params, o, b);
    if (site.kind !== "conv") return { weight: b.add(weight, delta) };
    return { weight: b.add(weight, b.reshape(delta, [site.outChannels, site.inChannels, ...site.kernel])) };
  },
});
