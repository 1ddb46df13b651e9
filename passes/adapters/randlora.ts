/** RandLoRA: a full-rank update as a sum of random low-rank products that are frozen and shared, scaled by trained factors. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, type Initializer } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import { drawUniformBfloat16, TorchGenerator } from "../../src/adapt/torch-random.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import { roundToBfloat16 } from "../../src/formats/half.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";

const options = z
  .strictObject({
    r: z
      .int()
      .min(1)
      .default(32)
      .describe("rank of each random product; fewer products are needed for a larger one"),
    randlora_alpha: z.number().default(640).describe("numerator of the scaling: randlora_alpha / r"),
    projection_prng_key: z
      .int()
      .nonnegative()
      .default(0)
      .describe("seed of the shared projections, drawn as PyTorch draws them in bfloat16"),
    save_projection: z
      .boolean()
      .default(true)
      .describe("write the projections into checkpoints; false: they are drawn anew from the seed"),
    sparse: z.boolean().default(false).describe("projections of -1, 0 and 1, of which two thirds are 0"),
    very_sparse: z
      .boolean()
      .default(false)
      .describe("the same with one in the root of the smaller side that is not 0; goes before sparse"),
    randlora_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an element of the input"),
    bias: z
      .enum(["none", "all", "randlora_only"])
      .default("none")
      .describe("which biases of the base model are trained, too"),
    init_weights: z.literal(true).default(true).describe("the factors lambda start at 0"),
    ...targetOptions,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

interface Sizes {
  readonly short: number;
  readonly long: number;
  /** Number of products whose ranks add up to the smaller side. */
  readonly count: number;
}

function sizesOf({ inFeatures, outFeatures }: LinearSite, { r }: Options): Sizes {
  const short = Math.min(inFeatures, outFeatures);
  return { short, long: Math.max(inFeatures, outFeatures), count: Math.ceil(short / r) };
}

/** Both projections of a model as PEFT draws them, A and then the bases of B one after the other, with deviation 1. */
function projections(short: number, long: number, o: Options): { A: Initializer; B: Initializer } {
  const count = Math.ceil(short / o.r);
  const sizes = { A: o.r * short, B: long * count * o.r };
  const sparsity = o.very_sparse ? Math.sqrt(short) : 3;
  const isSparse = o.sparse || o.very_sparse;
  const behindA = (): TorchGenerator => {
    const generator = new TorchGenerator(o.projection_prng_key);
    for (let i = 0; i < sizes.A; i++) generator.next();
    return generator;
  };
  if (isSparse) {
    const ternary = (generator: TorchGenerator, size: number): Float32Array<ArrayBuffer> =>
      unitDeviation(
        Float32Array.from({ length: size }, () => {
          const drawn = generator.uniform();
          return Number(drawn > 1 - 1 / (2 * sparsity)) - Number(drawn < 1 / (2 * sparsity));
        }),
        Math.fround,
      );
    return {
      A: () => ternary(new TorchGenerator(o.projection_prng_key), sizes.A),
      B: () => ternary(behindA(), sizes.B),
    };
  }
  return {
    A: () => {
      const generator = new TorchGenerator(o.projection_prng_key);
      return unitDeviation(drawUniformBfloat16(generator, sizes.A, 1 / Math.sqrt(short)), roundToBfloat16);
    },
    B: () => {
      const generator = behindA();
      const values = new Float32Array(sizes.B);
      for (let base = 0; base < count; base++) {
        const drawn = drawUniformBfloat16(generator, long * o.r, 1 / Math.sqrt(o.r));
        drawn.forEach((value, i) => {
          values[(Math.floor(i / o.r) * count + base) * o.r + (i % o.r)] = value;
        });
      }
      return unitDeviation(values, roundToBfloat16);
    },
  };
}

/** Values over their deviation, in the number format that `round` rounds to. */
function unitDeviation(
  values: Float32Array<ArrayBuffer>,
  round: (value: number) => number,
): Float32Array<ArrayBuffer> {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const deviation = round(Math.sqrt(squares / (values.length - 1)));
  return values.map((value) => round(value / deviation));
}

type Params = Readonly<Record<"A" | "B" | "lambda" | "gamma", Value>>;

/** s sum over j of B_j diag(lambda_j) A diag(gamma_j), (out, in), through the smaller side's transpose where that is out. */
function deltaOf(site: LinearSite, { A, B, lambda, gamma }: Params, o: Options, b: OpBuilder): Value {
  const { short, long, count } = sizesOf(site, o);
  // (r, count, short): each row of A times the factors of its product.
  const a = b.slice(A, { starts: [0], ends: [short], axes: [2] });
  const rows = b.mul(b.mul(a, b.unsqueeze(lambda, [2])), b.unsqueeze(gamma, [0]));
  const down = b.reshape(rows, [o.r * count, short]);
  // PEFT pairs elements of (count, r) here with those of (r, count) there as they lie in memory; so do we.
  const bases = b.slice(B, { starts: [0, 0], ends: [long, count], axes: [0, 1] });
  const up = b.reshape(bases, [long, count * o.r]);
  const product = b.mul(b.matmul(up, down), o.randlora_alpha / o.r);
  return site.inFeatures === short ? product : b.transpose(product, [1, 0]);
}

export default defineAdapter({
  name: "randlora",
  peftType: "RANDLORA",
  summary: "Adds a full-rank sum of shared random products, of which only scaling factors are trained",
  formula:
    "y = W x + b + s sum_j B_j diag(lambda_j) A diag(gamma_j) x, with A and B random, frozen and shared and s = randlora_alpha / r",
  paper:
    "Albert et al. 2025, RandLoRA: Full-rank parameter-efficient fine-tuning of large models, https://arxiv.org/abs/2502.00987",
  options,
  peftConfig: { fan_in_fan_out: false },
  absentInPeft: ["exclude_modules"],
  sites: ["linear"],
  identityAtStart: () => true,
  shared: (sites, o) => {
    const width = Math.max(...sites.map((site) => site.inFeatures));
    const height = Math.max(...sites.map((site) => site.outFeatures));
    const [short, long] = [Math.min(width, height), Math.max(width, height)];
    const count = Math.ceil(short / o.r);
    const drawn = projections(short, long, o);
    const common = { trainable: false, saved: o.save_projection, repeated: o.save_projection };
    return {
      A: { ...common, key: "randlora_A", shape: [o.r, 1, short], init: drawn.A },
      B: { ...common, key: "randlora_B", shape: [long, count, o.r], init: drawn.B },
    };
  },
  parameters: (site, o) => {
    const { short, long, count } = sizesOf(site, o);
    return {
      lambda: { key: "randlora_lambda", shape: [o.r, count], init: filled(0) },
      gamma: { key: "randlora_gamma", shape: [count, short], init: filled(1 / long) },
    };
  },
  build: ({ site, x, y, params, options: o, b, dropout }) => {
    const delta = deltaOf(site, params, o, b);
    return b.add(y, b.matmul(dropout(x, o.randlora_dropout), b.transpose(delta, [1, 0])));
  },
  merge: ({ site, weight, params, options: o, b }) => ({
    weight: b.add(weight, deltaOf(site, params, o, b)),
  }),
});
