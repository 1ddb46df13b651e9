/** VeRA: low-rank projections that are random, frozen and shared by all modules, scaled by trained vectors. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, type Initializer } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import { drawUniform, TorchGenerator } from "../../src/adapt/torch-random.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import { countElements } from "../../src/ir/shape.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(256).describe("rank of the shared projections"),
    projection_prng_key: z
      .int()
      .nonnegative()
      .default(0)
      .describe("seed of the shared projections, drawn as PyTorch draws them"),
    save_projection: z
      .boolean()
      .default(true)
      .describe("write the projections into checkpoints; false: they are drawn anew from the seed"),
    vera_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of A"),
    d_initial: z.number().default(0.1).describe("starting value of the factors between A and B"),
    bias: z
      .enum(["none", "all", "vera_only"])
      .default("none")
      .describe("which biases of the base model are trained, too"),
    init_weights: z.literal(true).default(true).describe("the factors behind B start at 0"),
    ...targetOptions,
  })
  .check(checkLayers);

/** Kaiming uniform with the gain of a ReLU: PEFT draws A, then B, from one generator. */
function projection(seed: number, before: number, fan: number): Initializer {
  return (shape) => {
    const generator = new TorchGenerator(seed);
    for (let i = 0; i < before; i++) generator.next();
    const count = countElements(shape);
    return drawUniform(generator, count, Math.sqrt(3) * (Math.SQRT2 / Math.sqrt(fan)));
  };
}

type Params = Readonly<Record<"A" | "B" | "lambdaB" | "lambdaD", Value>>;

/** The leading columns of A, scaled by row, and the leading rows of B, scaled too: (r, in) and (out, r). */
function factorsOf(site: LinearSite, { A, B, lambdaB, lambdaD }: Params, b: OpBuilder): [Value, Value] {
  const down = b.slice(A, { starts: [0], ends: [site.inFeatures], axes: [1] });
  const up = b.slice(B, { starts: [0], ends: [site.outFeatures], axes: [0] });
  return [b.mul(down, b.unsqueeze(lambdaD, [1])), b.mul(up, b.unsqueeze(lambdaB, [1]))];
}

export default defineAdapter({
  name: "vera",
  peftType: "VERA",
  summary:
    "Adds random low-rank projections shared by all modules, of which only scaling vectors are trained",
  formula: "y = W x + b + diag(lambda_b) B diag(lambda_d) A x, with A and B random, frozen and shared",
  paper:
    "Kopiczko et al. 2023, VeRA: Vector-based Random Matrix Adaptation, https://arxiv.org/abs/2310.11454",
  options,
  peftConfig: { fan_in_fan_out: false },
  sites: ["linear"],
  identityAtStart: () => true,
  shared: (sites, o) => {
    const width = Math.max(...sites.map((site) => site.inFeatures));
    const height = Math.max(...sites.map((site) => site.outFeatures));
    const common = { trainable: false, saved: o.save_projection };
    const seed = o.projection_prng_key;
    return {
      A: { ...common, key: "vera_A", shape: [o.r, width], init: projection(seed, 0, width) },
      B: { ...common, key: "vera_B", shape: [height, o.r], init: projection(seed, o.r * width, o.r) },
    };
  },
  parameters: (site, o) => ({
    lambdaB: { key: "vera_lambda_b", shape: [site.outFeatures], init: filled(0) },
    lambdaD: { key: "vera_lambda_d", shape: [o.r], init: filled(o.d_initial) },
  }),
  build: ({ site, x, y, params, options: o, b, dropout }) => {
    const [down, up] = factorsOf(site, params, b);
    const inner = b.matmul(dropout(x, o.vera_dropout), b.transpose(down, [1, 0]));
    return b.add(y, b.matmul(inner, b.transpose(up, [1, 0])));
  },
  merge: ({ site, weight, params, b }) => {
    const [down, up] = factorsOf(site, params, b);
    return { weight: b.add(weight, b.matmul(up, down)) };
  },
});
