/** GraLoRA: low-rank updates of the blocks of a frozen weight, which exchange parts of their ranks. */
import { z } from "zod";
import { defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { filled, kaimingUniform } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { factorOf, type Params } from "./parts/factors.ts";

const { target_modules, layers_to_transform, layers_pattern, modules_to_save } = targetOptions;

const options = z
  .strictObject({
    r: z.int().min(1).default(32).describe("rank of the blocks of one row; a multiple of gralora_k"),
    hybrid_r: z.int().min(0).default(0).describe("rank of a further plain low-rank update; 0: none"),
    alpha: z.number().default(64).describe("numerator of the scaling: alpha / (r + hybrid_r)"),
    gralora_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of the update"),
    gralora_k: z.int().min(1).default(2).describe("blocks along each side of the weight"),
    init_weights: z.boolean().default(true).describe("true: B starts at 0; false: both factors random"),
    target_modules,
    layers_to_transform,
    layers_pattern,
    modules_to_save,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

const scalingOf = (o: Options): number => o.alpha / (o.r + o.hybrid_r);

function updateOf(site: LinearSite, x: Value, y: Value, params: Params, o: Options, b: OpBuilder): Value {
  const { r, gralora_k: k } = o;
  const blocks = b.transpose(b.reshape(x, [-1, k, site.inFeatures / k]), [1, 0, 2]);
  const down = b.reshape(b.matmul(blocks, factorOf(params, "A")), [k, -1, k, r / k]);
  const exchanged = b.reshape(b.transpose(down, [2, 1, 0, 3]), [k, -1, r]);
  const up = b.transpose(b.matmul(exchanged, factorOf(params, "B")), [1, 0, 2]);
  const update = b.reshape(up, b.shape(y));
  if (o.hybrid_r === 0) return b.mul(update, scalingOf(o));
  const general = b.matmul(x, b.transpose(factorOf(params, "generalA"), [1, 0]));
  return b.mul(
    b.add(update, b.matmul(general, b.transpose(factorOf(params, "generalB"), [1, 0]))),
    scalingOf(o),
  );
}

function deltaOf(site: LinearSite, params: Params, o: Options, b: OpBuilder): Value {
  const { r, gralora_k: k } = o;
  const { inFeatures, outFeatures } = site;
  // Blocks by input block, then output block.
  const left = b.transpose(b.reshape(factorOf(params, "A"), [k, inFeatures / k, k, r / k]), [0, 2, 1, 3]);
  const right = b.transpose(b.reshape(factorOf(params, "B"), [k, k, r / k, outFeatures / k]), [1, 0, 2, 3]);
  const blocks = b.transpose(b.matmul(left, right), [1, 3, 0, 2]);
  const delta = b.reshape(blocks, [outFeatures, inFeatures]);
  if (o.hybrid_r === 0) return b.mul(delta, scalingOf(o));
  return b.mul(
    b.add(delta, b.matmul(factorOf(params, "generalB"), factorOf(params, "generalA"))),
    scalingOf(o),
  );
}

export default defineAdapter({
  name: "gralora",
  peftType: "GRALORA",
  summary: "Adds low-rank updates to the blocks of frozen linear weights",
  formula: "y_j = (W x + b)_j + s sum_n B_jn A_jn x_n, with s = alpha / (r + hybrid_r)",
  paper:
    "Jung et al. 2025, GraLoRA: Granular Low-Rank Adaptation for Parameter-Efficient Fine-Tuning, https://arxiv.org/abs/2505.20355",
  options,
  peftConfig: { bias: "none", fan_in_fan_out: false },
  sites: ["linear"],
  accepts: (site, { r, gralora_k: k }) => {
    if (r % k !== 0) return `rank ${r} is not a multiple of gralora_k ${k}`;
    if (site.inFeatures % k !== 0 || site.outFeatures % k !== 0)
      return `its ${site.inFeatures} inputs and ${site.outFeatures} outputs are not multiples of gralora_k ${k}`;
    return true;
  },
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o): Record<string, ParameterSpec> => {
    const { inFeatures, outFeatures } = site;
    const { r, hybrid_r: rest, gralora_k: k } = o;
    const random = kaimingUniform();
    const second = o.init_weights ? filled(0) : random;
    return {
      A: { key: "gralora_A", shape: [k, inFeatures / k, r], init: random },
      B: { key: "gralora_B", shape: [k, r, outFeatures / k], init: second },
      ...(rest === 0
        ? {}
        : {
            generalA: { key: "gralora_A_general.weight", shape: [rest, inFeatures], init: random },
            generalB: { key: "gralora_B_general.weight", shape: [outFeatures, rest], init: second },
          }),
    };
  },
  build: ({ site, x, y, params, options: o, b, dropout }) =>
    b.add(y, updateOf(site, dropout(x, o.gralora_dropout), y, params, o, b)),
  merge: ({ site, weight, params, options: o, b }) => ({
    weight: b.add(weight, deltaOf(site, params, o, b)),
  }),
});
