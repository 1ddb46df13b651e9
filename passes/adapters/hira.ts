/** HiRA: a low-rank product that scales a frozen weight element by element. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, kaimingUniform, normal } from "../../src/adapt/initializers.ts";
import { byPattern, checkLayers, matchPattern, targetOptions } from "../../src/adapt/targets.ts";
import type { LayerSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(32).describe("rank of the factor of the weight"),
    hira_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of the update"),
    init_weights: z
      .union([z.boolean(), z.literal("gaussian")])
      .default(true)
      .describe("true: A Kaiming uniform, B zero; gaussian: A normal with deviation 1/r; false: both random"),
    rank_pattern: byPattern(z.int().min(1))
      .default({})
      .describe("ranks by regular expression over the end of a path"),
    ...targetOptions,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

/** W * (B A) in the layout of the weight. */
function factorOf(site: LayerSite, A: Value, B: Value, { r }: Options, b: OpBuilder): Value {
  if (site.kind === "linear") return b.matmul(B, A);
  if (site.kind === "embedding") return b.transpose(b.matmul(B, A), [1, 0]);
  const product = b.matmul(b.reshape(B, [site.outChannels, r]), b.reshape(A, [r, -1]));
  return b.reshape(product, [site.outChannels, site.inChannels, ...site.kernel]);
}

export default defineAdapter({
  name: "hira",
  peftType: "HIRA",
  summary: "Scales every element of frozen weights by a trainable low-rank product",
  formula: "y = W x + b + (W * (B A)) x, with * element-wise",
  paper:
    "Huang et al. 2025, HiRA: Parameter-Efficient Hadamard High-Rank Adaptation for Large Language Models, https://openreview.net/forum?id=TwJrTz9cRS",
  options,
  peftConfig: { fan_in_fan_out: false },
  notesConv1d: false,
  sites: ["linear", "conv", "embedding"],
  accepts: (site, o) => {
    if (site.kind === "conv" && site.groups > 1) return "its convolution is grouped, while A is not";
    if (site.kind !== "linear" && o.hira_dropout > 0) return "hira_dropout is built for linear layers only";
    return true;
  },
  optionsFor: (o, path) => ({ ...o, r: matchPattern(o.rank_pattern, path) ?? o.r }),
  identityAtStart: (o) => o.init_weights !== false,
  parameters: (site, o) => {
    const { r, init_weights: init } = o;
    if (site.kind === "embedding") {
      const first = init === false ? normal(1) : filled(0);
      return {
        A: { key: "hira_embedding_A", shape: [r, site.rows], init: first },
        B: { key: "hira_embedding_B", shape: [site.width, r], init: normal(1) },
      };
    }
    const initA = init === "gaussian" ? normal(1 / r) : kaimingUniform();
    const initB = init === false ? kaimingUniform() : filled(0);
    const [shapeA, shapeB] =
      site.kind === "linear"
        ? [
            [r, site.inFeatures],
            [site.outFeatures, r],
          ]
        : [
            [r, site.inChannels, ...site.kernel],
            [site.outChannels, r, ...site.kernel.map(() => 1)],
          ];
    return {
      A: { key: "hira_A", shape: shapeA, init: initA },
      B: { key: "hira_B", shape: shapeB, init: initB },
    };
  },
  build: ({ site, x, y, weight, base, params: { A, B }, options: o, b, dropout }) => {
    const frozen = weight();
    const delta = b.mul(frozen, factorOf(site, A, B, o, b));
    if (o.hira_dropout === 0) return base(x, { weight: b.add(frozen, delta) });
    return b.add(y, b.matmul(dropout(x, o.hira_dropout), b.transpose(delta, [1, 0])));
  },
  merge: ({ site, weight, params: { A, B }, options: o, b }) => ({
    weight: b.add(weight, b.mul(weight, factorOf(site, A, B, o, b))),
  }),
  unmerge: ({ site, weight, params: { A, B }, options: o, b }) => ({
    weight: b.div(weight, b.add(factorOf(site, A, B, o, b), 1)),
  }),
});
