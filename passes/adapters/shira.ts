/** SHiRA: a sparse update at random places of a frozen weight. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, type Initializer, normal, seedFor } from "../../src/adapt/initializers.ts";
import { targetOptions } from "../../src/adapt/targets.ts";
import { randomPermutation, TorchGenerator } from "../../src/adapt/torch-random.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";

const { target_modules, modules_to_save } = targetOptions;

const options = z.strictObject({
  r: z
    .int()
    .min(1)
    .default(32)
    .describe("r (in + out) elements of each weight are trained: as many as of LoRA"),
  mask_type: z.literal("random").default("random").describe("how the places are chosen"),
  random_seed: z
    .int()
    .nonnegative()
    .nullable()
    .default(null)
    .describe("seed of the places; null: they follow from the seed of the starting values"),
  init_weights: z.boolean().default(true).describe("true: elements start at 0; false: normal"),
  target_modules,
  modules_to_save,
});

type Options = z.output<typeof options>;

function countOf({ inFeatures, outFeatures }: LinearSite, { r }: Options): number {
  return r * (inFeatures + outFeatures);
}

/** Distinct places in the weight, as rows and columns: (2, count). Checkpoints hold them. */
function places({ path, inFeatures, outFeatures }: LinearSite, o: Options): Initializer {
  return ([, count = 0], random) => {
    const seed = o.random_seed ?? seedFor(Math.floor(random.uniform() * 2 ** 32), path);
    const chosen = randomPermutation(new TorchGenerator(seed), inFeatures * outFeatures, count);
    return Float32Array.from({ length: 2 * count }, (_, i) => {
      const place = chosen[i % count] ?? 0;
      return i < count ? Math.floor(place / inFeatures) : place % inFeatures;
    });
  };
}

/** (out, in), zero but for the trained elements. */
function deltaOf(site: LinearSite, values: Value, indices: Value, b: OpBuilder): Value {
  const zeros = b.expand(b.scalar(0, "float32"), b.ints([site.outFeatures, site.inFeatures]));
  return b.op("ScatterND", [zeros, b.cast(b.transpose(indices, [1, 0]), "int64"), values]);
}

export default defineAdapter({
  name: "shira",
  peftType: "SHIRA",
  summary: "Trains a few randomly chosen elements of frozen linear weights",
  formula: "y = (W + S) x + b, with S zero but for r (in + out) trained elements",
  paper: "Bhardwaj et al. 2024, Sparse High Rank Adapters, https://arxiv.org/abs/2406.13175",
  options,
  peftConfig: { fan_in_fan_out: false },
  sites: ["linear"],
  accepts: (site, o) => {
    const count = countOf(site, o);
    const size = site.inFeatures * site.outFeatures;
    return count <= size ? true : `its weight has ${size} elements, fewer than r (in + out) = ${count}`;
  },
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o) => {
    const count = countOf(site, o);
    return {
      values: { key: "shira_weight", shape: [count], init: o.init_weights ? filled(0) : normal(1) },
      indices: {
        key: "shira_indices",
        shape: [2, count],
        init: places(site, o),
        trainable: false,
        dtype: "int32",
      },
    };
  },
  build: ({ site, x, y, params: { values, indices }, b }) =>
    b.add(y, b.matmul(x, b.transpose(deltaOf(site, values, indices, b), [1, 0]))),
  merge: ({ site, weight, params: { values, indices }, b }) => ({
    weight: b.add(weight, deltaOf(site, values, indices, b)),
  }),
});
