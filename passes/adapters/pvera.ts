/** PVeRA: VeRA with a random inner vector, whose mean and variance are projections of the input. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, normal } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import { ownProjections, projectionOptions, projectionSpecs } from "./parts/projection.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(256).describe("size of the inner vector; A has twice as many rows"),
    ...projectionOptions,
    pvera_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of A"),
    d_initial: z.number().default(0.1).describe("starting value of the factors between A and B"),
    generator_seed: z
      .int()
      .nullable()
      .default(null)
      .describe("seed of PEFT's noise; kept for it, ours follows from the seed of the run"),
    bias: z
      .enum(["none", "all", "pvera_only"])
      .default("none")
      .describe("which biases of the base model are trained, too"),
    init_weights: z
      .boolean()
      .default(true)
      .describe("true: the factors behind B start at 0; false: they start at 1, and those before it normal"),
    ...targetOptions,
  })
  .check(checkLayers);

export default defineAdapter({
  name: "pvera",
  peftType: "PVERA",
  summary: "Adds shared random projections of a random vector, of which only scaling vectors are trained",
  formula:
    "y = W x + b + diag(lambda_b) B z, z normal with mean m and variance exp(v), (m, v) = diag(lambda_d) A x; z = m outside of training",
  paper: "PVeRA: Probabilistic Vector-Based Random Matrix Adaptation, 2025, https://arxiv.org/abs/2512.07703",
  options,
  peftConfig: { fan_in_fan_out: false, sample_at_inference: false },
  absentInPeft: ["exclude_modules"],
  sites: ["linear"],
  identityAtStart: (o) => o.init_weights,
  shared: (sites, o) => projectionSpecs(sites, { prefix: "pvera", down: 2 * o.r, up: o.r }, o),
  parameters: (site, o) => ({
    lambdaB: {
      key: "pvera_lambda_b",
      shape: [site.outFeatures],
      init: filled(o.init_weights ? 0 : 1),
    },
    lambdaD: {
      key: "pvera_lambda_d",
      shape: [2 * o.r],
      init: o.init_weights ? filled(o.d_initial) : normal(1),
    },
  }),
  build: ({ site, x, y, params, options: o, b, dropout, noise }) => {
    const { down, up } = ownProjections(site, params, b);
    const inner = b.mul(b.matmul(dropout(x, o.pvera_dropout), b.transpose(down, [1, 0])), params.lambdaD);
    const mean = b.slice(inner, { starts: [0], ends: [o.r], axes: [-1] });
    const variance = b.slice(inner, { starts: [o.r], ends: [2 * o.r], axes: [-1] });
    const drawn = noise("normal", mean);
    const z = drawn === undefined ? mean : b.add(mean, b.mul(drawn, b.exp(b.mul(variance, 0.5))));
    return b.add(y, b.mul(b.matmul(z, b.transpose(up, [1, 0])), params.lambdaB));
  },
  merge: ({ site, weight, params, options: o, b }) => {
    const { down, up } = ownProjections(site, params, b);
    const first = { starts: [0], ends: [o.r], axes: [0] };
    const rows = b.mul(b.slice(down, first), b.unsqueeze(b.slice(params.lambdaD, first), [1]));
    return { weight: b.add(weight, b.matmul(b.mul(up, b.unsqueeze(params.lambdaB, [1])), rows)) };
  },
});
