/** VeRA: low-rank projections that are random, frozen and shared by all modules, scaled by trained vectors. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { ownProjections, projectionOptions, projectionSpecs } from "./parts/projection.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(256).describe("rank of the shared projections"),
    ...projectionOptions,
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

type Params = Readonly<Record<"A" | "B" | "lambdaB" | "lambdaD", Value>>;

/** The leading columns of A, scaled by row, and the leading rows of B, scaled too: (r, in) and (out, r). */
function factorsOf(site: LinearSite, { lambdaB, lambdaD, ...shared }: Params, b: OpBuilder): [Value, Value] {
  const { down, up } = ownProjections(site, shared, b);
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
  absentInPeft: ["exclude_modules"],
  sites: ["linear"],
  identityAtStart: () => true,
  shared: (sites, o) => projectionSpecs(sites, { prefix: "vera", down: o.r, up: o.r }, o),
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
