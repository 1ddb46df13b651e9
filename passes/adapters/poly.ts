/** Poly: an inventory of low-rank skills, mixed by a router for the task of each row. */
import { z } from "zod";
import { defineAdapter, type Noise } from "../../src/adapt/define.ts";
import { filled, kaimingUniform, uniform } from "../../src/adapt/initializers.ts";
import { targetOptions } from "../../src/adapt/targets.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { dimOf } from "../../src/ops/facts.ts";

const { target_modules, exclude_modules, modules_to_save } = targetOptions;

const options = z.strictObject({
  r: z.int().min(1).default(8).describe("rank of a skill"),
  n_tasks: z.int().min(1).default(1).describe("number of tasks"),
  n_skills: z.int().min(1).default(4).describe("number of skills in the inventory"),
  n_splits: z.int().min(1).default(1).describe("parts of a layer that mix skills each in its own way"),
  init_weights: z.boolean().default(true).describe("true: A Kaiming uniform, B zero; false: both random"),
  target_modules,
  exclude_modules,
  modules_to_save,
});

type Options = z.output<typeof options>;

export default defineAdapter({
  name: "poly",
  peftType: "POLY",
  summary: "Adds a low-rank update that a router mixes of shared skills, for the task of each row of a batch",
  formula:
    "y = W x + b + B_t A_t x / r, with A_t and B_t sums of skills, weighted for task t from the batch field task_ids",
  paper:
    "Ponti et al. 2022, Combining Modular Skills in Multitask Learning, https://arxiv.org/abs/2202.13914",
  options,
  peftConfig: { poly_type: "poly" },
  sites: ["linear"],
  accepts: (site, o) => {
    const { inFeatures, outFeatures } = site;
    if (site.x.tensorType?.shape?.length !== 3) return "it does not read [batch, sequence, features]";
    return inFeatures % o.n_splits === 0 && outFeatures % o.n_splits === 0
      ? true
      : `its ${inFeatures} inputs and ${outFeatures} outputs are no multiples of ${o.n_splits} splits`;
  },
  identityAtStart: (o) => o.init_weights,
  parameters: ({ inFeatures, outFeatures }, o) => {
    const [inputs, outputs] = [inFeatures / o.n_splits, outFeatures / o.n_splits];
    return {
      A: {
        key: "poly_lora_A",
        shape: [o.n_splits, o.n_skills, inputs, o.r],
        init: kaimingUniform(inputs),
      },
      B: {
        key: "poly_lora_B",
        shape: [o.n_splits, o.n_skills, o.r, outputs],
        init: o.init_weights ? filled(0) : kaimingUniform(o.r),
      },
      router: {
        key: "poly_router.module_logits",
        shape: [o.n_tasks, o.n_splits * o.n_skills],
        init: uniform(1e-3),
      },
    };
  },
  build: ({ site, x, y, params: { A, B, router }, options: o, field, noise, b }) => {
    const tasks = field({ name: "task_ids", dtype: "int64", shape: [dimOf(x, 0)], below: o.n_tasks });
    const weights = mixing(b, b.gather(router, tasks), o, noise);
    const down = b.reshape(mixed(b, weights, A, o), [-1, site.inFeatures, o.r]);
    // [batch, splits, r, out / splits] with the splits side by side.
    const up = b.reshape(b.transpose(mixed(b, weights, B, o), [0, 2, 1, 3]), [-1, o.r, site.outFeatures]);
    return b.add(y, b.div(b.matmul(b.matmul(x, down), up), o.r));
  },
  merge: "its update differs from task to task",
});

/** The distance from 0 and 1 that PyTorch keeps of uniform numbers before it takes their logits. */
const margin = 2 ** -23;

/**
 * Weights of skills, [batch, splits, 1, skills], that sum to 1: sigmoids of the logits, to which training adds noise that makes
 * them relaxed Bernoulli variables of temperature 1 (Maddison et al. 2017).
 */
function mixing(b: OpBuilder, logits: Value, o: Options, noise: Noise): Value {
  const rows = b.reshape(logits, [-1, o.n_splits, 1, o.n_skills]);
  const drawn = noise("uniform", rows);
  const kept = drawn === undefined ? undefined : b.min(b.max(drawn, margin), 1 - margin);
  const moved = kept === undefined ? rows : b.add(rows, b.sub(b.log(kept), b.log(b.sub(1, kept))));
  const each = b.op("Sigmoid", [moved]);
  return b.div(each, b.add(b.reduceSum(each, [-1]), 1e-12));
}

/** Skills [splits, skills, ...] mixed for each row, [batch, splits, ...]. */
function mixed(b: OpBuilder, weights: Value, skills: Value, o: Options): Value {
  const [, , rows = 1, columns = 1] = (skills.tensorType?.shape ?? []).map(Number);
  const flat = b.reshape(skills, [1, o.n_splits, o.n_skills, rows * columns]);
  return b.reshape(b.matmul(weights, flat), [-1, o.n_splits, rows, columns]);
}
