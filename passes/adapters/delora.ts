/** DeLoRA: a low-rank update of normalised components with one learned strength. */
import { z } from "zod";
import { weightElements } from "../../src/adapt/base-weight.ts";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, type Initializer, kaimingUniform } from "../../src/adapt/initializers.ts";
import { byPattern, checkLayers, matchPattern, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(8).describe("rank of the update"),
    delora_lambda: z.number().default(15).describe("start of the strength, a bound of the update's norm"),
    module_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of the update"),
    init_weights: z.boolean().default(true).describe("true: B starts at 0; false: both factors random"),
    rank_pattern: byPattern(z.int().min(1))
      .default({})
      .describe("ranks by regular expression over the end of a path"),
    lambda_pattern: byPattern(z.number()).default({}).describe("delora_lambda in the same way"),
    ...targetOptions,
  })
  .check(checkLayers);

type Params = Readonly<Record<"A" | "B" | "lambda" | "norm", Value>>;

/** Euclidean norms of the columns of the frozen weight, one per input. */
function inputNorms(site: LinearSite): Initializer {
  return ([inputs = 0]) => {
    const weight = weightElements(site);
    const sums = new Float64Array(inputs);
    weight.forEach((value, i) => {
      sums[i % inputs] = (sums[i % inputs] ?? 0) + value ** 2;
    });
    return Float32Array.from(sums, Math.sqrt);
  };
}

/** lambda / r over the norms of the rows of A and columns of B: (r). */
function strengths({ A, B, lambda }: Params, r: number, b: OpBuilder): Value {
  // At least 1e-4. The bound is set before the root, whose slope at 0 is infinite: B starts there.
  const norm = (x: Value, axis: number): Value => b.sqrt(b.max(b.reduceSumSquare(x, [axis], false), 1e-8));
  return b.div(b.div(lambda, r), b.mul(norm(A, 1), norm(B, 0)));
}

export default defineAdapter({
  name: "delora",
  peftType: "DELORA",
  summary: "Adds a low-rank update whose components are normalised and scaled by one learned strength",
  formula: "y = W x + b + B diag(lambda / (r |a_i| |b_i|)) A diag(n) x, with n the norms of W's columns",
  paper:
    "Bini et al. 2025, DeLoRA: Decoupling Angles and Strength in Low-rank Adaptation, https://arxiv.org/abs/2503.18225",
  options,
  peftConfig: { bias: "none" },
  sites: ["linear"],
  optionsFor: (o, path) => ({
    ...o,
    r: matchPattern(o.rank_pattern, path) ?? o.r,
    delora_lambda: matchPattern(o.lambda_pattern, path) ?? o.delora_lambda,
  }),
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o) => {
    const { inFeatures, outFeatures } = site;
    return {
      A: { key: "delora_A", shape: [o.r, inFeatures], init: kaimingUniform() },
      B: { key: "delora_B", shape: [outFeatures, o.r], init: o.init_weights ? filled(0) : kaimingUniform() },
      lambda: { key: "delora_lambda", shape: [1], init: filled(o.delora_lambda) },
      norm: { key: "delora_w_norm", shape: [inFeatures], init: inputNorms(site), trainable: false },
    };
  },
  build: ({ x, y, params, options: o, b, dropout }) => {
    const inner = b.mul(dropout(x, o.module_dropout), params.norm);
    const down = b.mul(b.matmul(inner, b.transpose(params.A, [1, 0])), strengths(params, o.r, b));
    return b.add(y, b.matmul(down, b.transpose(params.B, [1, 0])));
  },
  merge: ({ weight, params, options: o, b }) => {
    const left = b.mul(params.B, strengths(params, o.r, b));
    return { weight: b.add(weight, b.mul(b.matmul(left, params.A), params.norm)) };
  },
});
