/** LoRA: a low-rank update beside a frozen weight. */
import { z } from "zod";
import { defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { filled, type Initializer, kaimingUniform, normal } from "../../src/adapt/initializers.ts";
import { byPattern, checkLayers, matchPattern, targetOptions } from "../../src/adapt/targets.ts";
import type { LayerSite } from "../../src/analysis/sites.ts";
import { InternalError } from "../../src/diagnostics/define.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { orthogonalPair } from "./init/orthogonal.ts";
import { applyDora, magnitudeSpec, mergeDora } from "./parts/dora.ts";
import { absentOfLora } from "./parts/lora-config.ts";
import { tokenCompanions, tokenIndices } from "./parts/token-companion.ts";
import { windowOf } from "./parts/window.ts";

const options = z
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
      .union([z.boolean(), z.enum(["gaussian", "orthogonal"])])
      .default(true)
      .describe(
        "true: A Kaiming uniform, B zero; gaussian: A normal with deviation 1/r; orthogonal: both, product zero; false: both random",
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
    trainable_token_indices: tokenIndices,
    lora_bias: z.boolean().default(false).describe("give B a trainable bias"),
    ...targetOptions,
  })
  .check(checkLayers);

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
  peftConfig: absentOfLora,
  sites: ["linear", "conv", "embedding"],
  accepts: (site, o) => {
    if (site.kind === "conv" && o.r % site.groups !== 0)
      return `rank ${o.r} is not a multiple of its ${site.groups} groups`;
    if (o.init_lora_weights === "orthogonal" && o.r % 2 !== 0)
      return `orthogonal initialisation needs an even rank, not ${o.r}`;
    if (o.lora_bias && site.kind === "embedding") return "lora_bias is not defined for embeddings";
    if (o.lora_bias && o.use_dora) return "lora_bias and use_dora exclude each other";
    if (o.use_dora && o.init_lora_weights === false)
      return "use_dora starts at the norms of the frozen weight, so init_lora_weights must not be false";
    if (o.use_dora && site.kind === "conv" && site.groups > 1)
      return "use_dora needs the product of both factors, and its convolution is grouped";
    return true;
  },
  optionsFor: (o, path) => ({
    ...o,
    r: matchPattern(o.rank_pattern, path) ?? o.r,
    lora_alpha: matchPattern(o.alpha_pattern, path) ?? o.lora_alpha,
  }),
  companions: (o) => tokenCompanions(o.trainable_token_indices),
  identityAtStart: (o) => o.init_lora_weights !== false,
  parameters: (site, o): Record<string, ParameterSpec> => {
    const [a, b] = shapesOf(site, o.r);
    const suffix = site.kind === "embedding" ? "lora_embedding_" : "lora_";
    const end = site.kind === "embedding" ? "" : ".weight";
    const [initA, initB] = initializersOf(site, o);
    return {
      A: { key: `${suffix}A${end}`, shape: a, init: initA, group: "lora_A" },
      B: { key: `${suffix}B${end}`, shape: b, init: initB, group: "lora_B" },
      ...(o.lora_bias ? { bias: biasSpec(site, o) } : {}),
      ...(o.use_dora ? { magnitude: magnitudeSpec(site) } : {}),
    };
  },
  build: (context) => {
    const { site, x, y, params, options: o, b, dropout } = context;
    const { A, B } = factorsOf(params);
    const dropped = site.kind === "embedding" ? x : dropout(x, o.lora_dropout);
    const update = updateOf(site, dropped, params, o, b);
    if (params.magnitude === undefined) return b.add(y, update);
    const parts = { magnitude: params.magnitude, delta: deltaOf(site, A, B, o, b), update };
    return applyDora(context, { ...parts, dropped: dropped === x ? undefined : dropped }, b);
  },
  merge: ({ site, weight, bias, params, options: o, b }) => {
    if (site.kind === "conv" && site.groups > 1) return "its convolution is grouped, while A is not";
    const { A, B } = factorsOf(params);
    const delta = deltaOf(site, A, B, o, b);
    if (params.magnitude !== undefined)
      return { weight: mergeDora(site, weight, { magnitude: params.magnitude, delta }, b) };
    const merged = { weight: b.add(weight, delta) };
    if (params.bias === undefined) return merged;
    if (bias === undefined) return "it has no bias that the one of B could be added to";
    return { ...merged, bias: b.add(bias, b.mul(params.bias, scalingOf(o))) };
  },
});

type Params = Readonly<Record<string, Value>>;

function factorsOf({ A, B }: Params): { A: Value; B: Value } {
  if (A === undefined || B === undefined) throw new InternalError("LoRA without its factors");
  return { A, B };
}

/** s (B A x + bias of B), with `x` after dropout. */
function updateOf(site: LayerSite, x: Value, params: Params, o: Options, b: OpBuilder): Value {
  const { A, B } = factorsOf(params);
  const s = scalingOf(o);
  const bias = params.bias === undefined ? undefined : b.mul(params.bias, s);
  switch (site.kind) {
    case "linear": {
      const down = b.matmul(x, b.transpose(A, [1, 0]));
      const up = b.matmul(down, b.mul(b.transpose(B, [1, 0]), s));
      return bias === undefined ? up : b.add(up, bias);
    }
    case "conv": {
      // A has the base layer's window and no groups; B is a 1x1 convolution with the base layer's groups.
      const down = b.op("Conv", [x, A], windowOf(site));
      return b.op("Conv", [down, b.mul(B, s), bias ?? null], { group: site.groups });
    }
    case "embedding":
      return b.matmul(b.gather(b.transpose(A, [1, 0]), x), b.mul(b.transpose(B, [1, 0]), s));
  }
}

/** s B A in the layout of the weight. */
function deltaOf(site: LayerSite, A: Value, B: Value, o: Options, b: OpBuilder): Value {
  const s = scalingOf(o);
  if (site.kind === "linear") return b.mul(b.matmul(B, A), s);
  if (site.kind === "embedding") return b.mul(b.transpose(b.matmul(B, A), [1, 0]), s);
  const product = b.matmul(b.reshape(B, [site.outChannels, o.r]), b.reshape(A, [o.r, -1]));
  return b.mul(b.reshape(product, [site.outChannels, site.inChannels, ...site.kernel]), s);
}

function biasSpec(site: LayerSite, o: Options): ParameterSpec {
  const size = site.kind === "linear" ? site.outFeatures : site.kind === "conv" ? site.outChannels : 0;
  // PyTorch's default of a bias, like that of the weight, depends on what one output reads.
  const fan = site.kind === "conv" ? o.r / site.groups : o.r;
  const init = o.init_lora_weights === false ? kaimingUniform(fan) : filled(0);
  return { key: "lora_B.bias", shape: [size], init, group: "lora_B" };
}

function shapesOf(site: LayerSite, r: number): [readonly number[], readonly number[]] {
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

function initializersOf(
  site: LayerSite,
  { r, init_lora_weights: init }: Options,
): [Initializer, Initializer] {
  if (site.kind === "embedding") return init === false ? [normal(1), normal(1)] : [filled(0), normal(1)];
  if (init === "gaussian") return [normal(1 / r), filled(0)];
  if (init === "orthogonal" && site.kind === "linear")
    return orthogonalPair(r, site.inFeatures, site.outFeatures, site.path);
  return [kaimingUniform(), init === false ? kaimingUniform() : filled(0)];
}
