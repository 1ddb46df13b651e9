/** VB-LoRA: low-rank factors whose pieces are mixtures of a few vectors from one trained bank of the whole model. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { normal, uniform } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { lengthened, shortened } from "./parts/top-weights.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(4).describe("rank of the update"),
    num_vectors: z.int().min(1).default(256).describe("vectors in the bank"),
    vector_length: z
      .int()
      .min(1)
      .default(256)
      .describe("length of the vectors; it divides inputs and outputs"),
    topk: z.int().min(1).default(2).describe("vectors that one piece is mixed of"),
    save_only_topk_weights: z
      .boolean()
      .default(false)
      .describe("whether folders hold which vectors are the topk and their weights, in place of all logits"),
    vblora_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of A"),
    init_vector_bank_bound: z
      .number()
      .min(0)
      .default(0.02)
      .describe("vectors start uniform within this bound"),
    init_logits_std: z.number().min(0).default(0.1).describe("deviation of the logits at the start"),
    bias: z
      .enum(["none", "all", "vblora_only"])
      .default("none")
      .describe("which biases of the base model are trained, too"),
    ...targetOptions,
  })
  .check(checkLayers)
  .check(({ value, issues }) => {
    if (value.topk <= value.num_vectors) return;
    const message = `expected at most num_vectors ${value.num_vectors}`;
    issues.push({ code: "custom", path: ["topk"], message, input: value.topk });
  });

type Options = z.output<typeof options>;
type Params = Readonly<Record<"A" | "B" | "bank", Value>>;

/** One vector for each row of logits: the vectors of the largest ones, weighted by the softmax of these. */
function mixtures(logits: Value, bank: Value, { topk }: Options, b: OpBuilder): Value {
  const [values, indices] = b.ops("TopK", [logits, b.ints([topk])], { axis: -1 }, 2);
  if (values === undefined || indices === undefined) return logits;
  const weights = b.op("Softmax", [values], { axis: -1 });
  return b.reduceSum(b.mul(b.unsqueeze(weights, [3]), b.gather(bank, indices)), [2], false);
}

/** A^T (in, r) and B^T (r, out). */
function factorsOf(site: LinearSite, { A, B, bank }: Params, o: Options, b: OpBuilder): [Value, Value] {
  const down = b.reshape(mixtures(A, bank, o, b), [o.r, site.inFeatures]);
  const up = b.transpose(mixtures(B, bank, o, b), [1, 0, 2]);
  return [b.transpose(down, [1, 0]), b.reshape(up, [o.r, site.outFeatures])];
}

/** Keys of logits here, which begin otherwise where folders do not hold them, and there. */
const unsaved = /^param\.(.*\.vblora_logits_[AB])$/;

export default defineAdapter({
  name: "vblora",
  peftType: "VBLORA",
  summary: "Adds a low-rank product whose factors are mixed of vectors from a bank that all modules share",
  formula:
    "y = W x + b + B A x, with every piece of A and B a sum of softmax(top logits) times vectors of the bank",
  paper:
    "Li et al. 2024, VB-LoRA: Extreme Parameter Efficient Fine-Tuning with Vector Banks, https://arxiv.org/abs/2405.15179",
  options,
  peftConfig: { fan_in_fan_out: false },
  sites: ["linear"],
  accepts: ({ inFeatures, outFeatures }, { vector_length: length }) =>
    inFeatures % length === 0 && outFeatures % length === 0
      ? true
      : `its ${inFeatures} inputs and ${outFeatures} outputs are not multiples of vector_length ${length}`,
  identityAtStart: () => false,
  shared: (_, o) => ({
    bank: {
      key: "vblora_vector_bank",
      shape: [o.num_vectors, o.vector_length],
      init: uniform(o.init_vector_bank_bound),
    },
  }),
  parameters: ({ inFeatures, outFeatures }, o) => {
    const init = normal(o.init_logits_std);
    const saved = !o.save_only_topk_weights;
    const pieces = (features: number): number => features / o.vector_length;
    return {
      A: { key: "vblora_logits_A", shape: [o.r, pieces(inFeatures), o.num_vectors], init, saved },
      B: { key: "vblora_logits_B", shape: [pieces(outFeatures), o.r, o.num_vectors], init, saved },
    };
  },
  toPeft: ({ options: o, tensors }) => {
    if (!o.save_only_topk_weights) return { options: o, tensors };
    const keys = [...tensors.keys()].flatMap((key) => {
      const saved = unsaved.exec(key)?.[1];
      return saved === undefined ? [] : [[key, saved] as const];
    });
    return { options: o, tensors: shortened(tensors, new Map(keys), o.topk) };
  },
  restore: (tensors, o) =>
    o.save_only_topk_weights ? lengthened(tensors, (saved) => `param.${saved}`, o.num_vectors) : tensors,
  build: ({ site, x, y, params, options: o, b, dropout }) => {
    const [down, up] = factorsOf(site, params, o, b);
    return b.add(y, b.matmul(b.matmul(dropout(x, o.vblora_dropout), down), up));
  },
  merge: ({ site, weight, params, options: o, b }) => {
    const [down, up] = factorsOf(site, params, o, b);
    return { weight: b.add(weight, b.transpose(b.matmul(down, up), [1, 0])) };
  },
});
