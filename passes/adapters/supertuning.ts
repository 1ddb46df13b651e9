/** Super-Tuning: a sparse update at the largest elements of a frozen weight, with or without a low-rank one beside it. */
import { z } from "zod";
import { weightElements } from "../../src/adapt/base-weight.ts";
import { defineAdapter, type ParameterSpec, type WholeStart } from "../../src/adapt/define.ts";
import { filled, kaimingUniform, normal } from "../../src/adapt/initializers.ts";
import { targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { factorOf, type Params } from "./parts/factors.ts";

const { target_modules, modules_to_save } = targetOptions;

const options = z.strictObject({
  sparsity: z
    .number()
    .min(0)
    .lt(1)
    .default(0.99)
    .describe("part of each weight that is not trained; 0.99: one in a hundred elements is"),
  select_top: z
    .boolean()
    .default(true)
    .describe("true: the largest elements are trained; false: the smallest"),
  r: z.int().min(1).nullable().default(null).describe("rank of a low-rank update beside it; null: none"),
  lora_alpha: z
    .number()
    .nullable()
    .default(null)
    .describe("numerator of the scaling of that update, lora_alpha / r; null: 2 r"),
  lora_dropout: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("probability of dropping an input element of that update"),
  init_weights: z.boolean().default(true).describe("true: both updates start at 0; false: random"),
  save_precomputed_indices: z
    .boolean()
    .default(true)
    .describe("write the places into checkpoints; false: they are found anew in the base weight"),
  target_modules,
  modules_to_save,
});

type Options = z.output<typeof options>;

function countOf({ inFeatures, outFeatures }: LinearSite, { sparsity }: Options): number {
  return Math.trunc(inFeatures * outFeatures * (1 - sparsity));
}

/** Flat places of the largest (or smallest) elements of the weight by magnitude, in that order. */
function places(site: LinearSite, { select_top }: Options): WholeStart {
  return {
    whole: ([count = 0]) => {
      const sizes = weightElements(site).map(select_top ? (value) => -Math.abs(value) : Math.abs);
      // The last of them is found among numbers alone, which are sorted far sooner than places are.
      const last = Float32Array.from(sizes).sort()[count - 1] ?? 0;
      const found: number[] = [];
      const level: number[] = [];
      sizes.forEach((size, i) => {
        if (size < last) found.push(i);
        else if (size === last) level.push(i);
      });
      found.sort((i, j) => (sizes[i] ?? 0) - (sizes[j] ?? 0) || i - j);
      return Int32Array.from([...found, ...level.slice(0, count - found.length)]);
    },
  };
}

/** (out, in), zero but for the trained elements. */
function sparseOf(site: LinearSite, params: Params, b: OpBuilder): Value {
  const { outFeatures, inFeatures } = site;
  const zeros = b.expand(b.scalar(0, "float32"), b.ints([outFeatures * inFeatures]));
  const indices = b.unsqueeze(b.cast(factorOf(params, "indices"), "int64"), [1]);
  const flat = b.op("ScatterND", [zeros, indices, factorOf(params, "values")]);
  return b.reshape(flat, [outFeatures, inFeatures]);
}

const scalingOf = (r: number, { lora_alpha: alpha }: Options): number => (alpha ?? 2 * r) / r;

export default defineAdapter({
  name: "supertuning",
  peftType: "SUPERTUNING",
  summary: "Trains the largest elements of frozen linear weights, and nothing else or a low-rank update",
  formula:
    "y = (W + S) x + b + s B A x, with S zero but at the largest elements of W; B A only where r is given",
  paper: "Super-Tuning, https://arxiv.org/abs/2607.09287",
  options,
  peftConfig: {},
  sites: ["linear"],
  accepts: (site, o) => {
    const size = site.inFeatures * site.outFeatures;
    return countOf(site, o) > 0
      ? true
      : `sparsity ${o.sparsity} leaves nothing of its ${size} elements to train`;
  },
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o): Record<string, ParameterSpec> => {
    const count = countOf(site, o);
    const { r } = o;
    return {
      values: {
        key: "supertuning_values",
        shape: [count],
        init: o.init_weights ? filled(0) : normal(1),
      },
      indices: {
        key: "supertuning_indices",
        shape: [count],
        init: places(site, o),
        trainable: false,
        saved: o.save_precomputed_indices,
        dtype: "int32",
      },
      ...(r === null
        ? {}
        : {
            A: { key: "supertuning_lora_A.weight", shape: [r, site.inFeatures], init: kaimingUniform() },
            B: {
              key: "supertuning_lora_B.weight",
              shape: [site.outFeatures, r],
              init: o.init_weights ? filled(0) : kaimingUniform(),
            },
          }),
    };
  },
  build: ({ site, x, y, params, options: o, b, dropout }) => {
    const sum = b.add(y, b.matmul(x, b.transpose(sparseOf(site, params, b), [1, 0])));
    if (o.r === null) return sum;
    const down = b.matmul(dropout(x, o.lora_dropout), b.transpose(factorOf(params, "A"), [1, 0]));
    const up = b.matmul(down, b.transpose(factorOf(params, "B"), [1, 0]));
    return b.add(sum, b.mul(up, scalingOf(o.r, o)));
  },
  merge: ({ site, weight, params, options: o, b }) => {
    const sum = b.add(weight, sparseOf(site, params, b));
    if (o.r === null) return { weight: sum };
    const product = b.matmul(factorOf(params, "B"), factorOf(params, "A"));
    return { weight: b.add(sum, b.mul(product, scalingOf(o.r, o))) };
  },
});
