/** LoRA: a low-rank update beside a frozen weight. */
import { z } from "zod";
import { defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { filled, type Initializer, kaimingUniform, normal } from "../../src/adapt/initializers.ts";
import { matchPattern, targetOptions } from "../../src/adapt/targets.ts";
import type { ConvSite, Site } from "../../src/analysis/sites.ts";
import { orthogonalPair } from "./init/orthogonal.ts";

const options = z.strictObject({
  r: z.int().min(1).default(8).describe("rank of the update"),
  lora_alpha: z.number().default(8).describe("numerator of the scaling: lora_alpha / r"),
  use_rslora: z.boolean().default(false).describe("scale by lora_alpha / sqrt(r) instead (arXiv:2312.03732)"),
  lora_dropout: z.number().min(0).lt(1).default(0).describe("probability of dropping an input element of A"),
  init_lora_weights: z
    .union([z.boolean(), z.enum(["gaussian", "orthogonal"])])
    .default(true)
    .describe(
      "true: A Kaiming uniform, B zero; gaussian: A normal with deviation 1/r; orthogonal: both, product zero; false: both random",
    ),
  bias: z
    .enum(["none", "all", "lora_only"])
    .default("none")
    .describe("which biases of the base model are trained, too"),
  rank_pattern: z
    .record(z.string(), z.int().min(1))
    .default({})
    .describe("ranks by regular expression over the end of a path"),
  alpha_pattern: z.record(z.string(), z.number()).default({}).describe("lora_alpha in the same way"),
  ...targetOptions,
});

type Options = z.output<typeof options>;

/** The factor before BA. */
function scalingOf({ lora_alpha, r, use_rslora }: Options): number {
  return use_rslora ? lora_alpha / Math.sqrt(r) : lora_alpha / r;
}

export default defineAdapter({
  name: "lora",
  peftType: "LORA",
  summary: "Adds a trainable low-rank product to frozen linear, convolution and embedding weights",
  formula: "y = W x + b + s B A x, with s = lora_alpha / r",
  paper:
    "Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models, https://arxiv.org/abs/2106.09685",
  options,
  peftConfig: {
    alora_invocation_tokens: null,
    arrow_config: null,
    corda_config: null,
    ensure_weight_tying: false,
    eva_config: null,
    fan_in_fan_out: false,
    kasa_config: null,
    layer_replication: null,
    loftq_config: {},
    lora_bias: false,
    lora_ga_config: null,
    megatron_config: null,
    megatron_core: "megatron.core",
    monteclora_config: null,
    qalora_group_size: 16,
    target_parameters: null,
    trainable_token_indices: null,
    use_bdlora: null,
    use_dora: false,
    use_qalora: false,
    velora_config: null,
  },
  sites: ["linear", "conv", "embedding"],
  accepts: (site, o) => {
    if (site.kind === "conv" && o.r % site.groups !== 0)
      return `rank ${o.r} is not a multiple of its ${site.groups} groups`;
    if (o.init_lora_weights === "orthogonal" && o.r % 2 !== 0)
      return `orthogonal initialisation needs an even rank, not ${o.r}`;
    return true;
  },
  optionsFor: (o, path) => ({
    ...o,
    r: matchPattern(o.rank_pattern, path) ?? o.r,
    lora_alpha: matchPattern(o.alpha_pattern, path) ?? o.lora_alpha,
  }),
  identityAtStart: (o) => o.init_lora_weights !== false,
  parameters: (site, o): Record<"A" | "B", ParameterSpec> => {
    const [a, b] = shapesOf(site, o.r);
    const suffix = site.kind === "embedding" ? "lora_embedding_" : "lora_";
    const end = site.kind === "embedding" ? "" : ".weight";
    const [initA, initB] = initializersOf(site, o);
    return {
      A: { key: `${suffix}A${end}`, shape: a, init: initA, group: "lora_A" },
      B: { key: `${suffix}B${end}`, shape: b, init: initB, group: "lora_B" },
    };
  },
  build: ({ site, x, y, params: { A, B }, options: o, b, dropout }) => {
    const s = scalingOf(o);
    switch (site.kind) {
      case "linear": {
        const down = b.matmul(dropout(x, o.lora_dropout), b.transpose(A, [1, 0]));
        return b.add(y, b.matmul(down, b.mul(b.transpose(B, [1, 0]), s)));
      }
      case "conv": {
        // A has the base layer's window and no groups; B is a 1x1 convolution with the base layer's groups.
        const down = b.op("Conv", [dropout(x, o.lora_dropout), A], windowOf(site));
        return b.add(y, b.op("Conv", [down, b.mul(B, s)], { group: site.groups }));
      }
      case "embedding": {
        const rows = b.gather(b.transpose(A, [1, 0]), x);
        return b.add(y, b.matmul(rows, b.mul(b.transpose(B, [1, 0]), s)));
      }
    }
  },
  merge: ({ site, weight, params: { A, B }, options: o, b }) => {
    const s = scalingOf(o);
    switch (site.kind) {
      case "linear":
        return { weight: b.add(weight, b.mul(b.matmul(B, A), s)) };
      case "embedding":
        return { weight: b.add(weight, b.mul(b.transpose(b.matmul(B, A), [1, 0]), s)) };
      case "conv": {
        if (site.groups > 1) return "its convolution is grouped, while A is not";
        const flatB = b.reshape(B, [site.outChannels, o.r]);
        const product = b.matmul(flatB, b.reshape(A, [o.r, -1]));
        const delta = b.reshape(product, [site.outChannels, site.inChannels, ...site.kernel]);
        return { weight: b.add(weight, b.mul(delta, s)) };
      }
    }
  },
});

function shapesOf(site: Site, r: number): [readonly number[], readonly number[]] {
  switch (site.kind) {
    case "linear":
      return [
        [r, site.inFeatures],
        [site.outFeatures, r],
      ];
    case "conv":
      return [
        [r, site.inChannels, ...site.kernel],
        [site.outChannels, r / site.groups, ...site.kernel.map(() => 1)],
      ];
    case "embedding":
      return [
        [r, site.rows],
        [site.width, r],
      ];
  }
}

function initializersOf(site: Site, { r, init_lora_weights: init }: Options): [Initializer, Initializer] {
  if (site.kind === "embedding") return init === false ? [normal(1), normal(1)] : [filled(0), normal(1)];
  if (init === "gaussian") return [normal(1 / r), filled(0)];
  if (init === "orthogonal" && site.kind === "linear")
    return orthogonalPair(r, site.inFeatures, site.outFeatures, site.path);
  return [kaimingUniform(), init === false ? kaimingUniform() : filled(0)];
}

/** The window of the base layer. PEFT crashes on dilated layers; handing the dilation on is what the formula says. */
function windowOf({ node }: ConvSite): Record<string, readonly number[] | string | undefined> {
  return {
    strides: node.ints("strides", undefined),
    pads: node.ints("pads", undefined),
    dilations: node.ints("dilations", undefined),
    auto_pad: node.string("auto_pad", undefined),
  };
}
