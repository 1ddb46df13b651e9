/** TinyLoRA: a frozen singular value decomposition between whose factors a few trained numbers mix random matrices. */
import { z } from "zod";
import { weightElements } from "../../src/adapt/base-weight.ts";
import { defineAdapter } from "../../src/adapt/define.ts";
import { definitionOrder } from "../../src/adapt/definition-order.ts";
import { filled, type Initializer, uniform } from "../../src/adapt/initializers.ts";
import { basePath } from "../../src/adapt/select.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import { drawNormal, TorchGenerator } from "../../src/adapt/torch-random.ts";
import type { EmbeddingSite, LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { KeptByWeight } from "./parts/kept.ts";
import type { SingularParts } from "./parts/singular-parts.ts";
import { singularParts } from "./parts/svd.ts";

const { target_modules, layers_to_transform, layers_pattern, modules_to_save } = targetOptions;

const options = z
  .strictObject({
    r: z.int().min(1).default(2).describe("singular values of the weight that the update acts between"),
    u: z.int().min(1).default(64).describe("trained numbers of each group of modules"),
    weight_tying: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe(
        "0: modules have numbers of their own; 1: all share the same; between: groups in the order of execution share",
      ),
    projection_seed: z
      .int()
      .nonnegative()
      .default(42)
      .describe("seed of the random matrices, to which each module adds its place in the order of execution"),
    save_projection: z
      .boolean()
      .default(true)
      .describe("write the random matrices into checkpoints; false: they are drawn anew from the seed"),
    tinylora_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of A"),
    init_weights: z
      .union([z.boolean(), z.literal("uniform")])
      .default(true)
      .describe("true: numbers start at 0; uniform or false: random within init_v_bound"),
    init_v_bound: z.number().min(0).default(0.02).describe("bound of random numbers at the start"),
    bias: z
      .enum(["none", "all", "tinylora_only"])
      .default("none")
      .describe("which biases of the base model are trained, too"),
    target_modules,
    layers_to_transform,
    layers_pattern,
    modules_to_save,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;
type TinySite = LinearSite | EmbeddingSite;
type Params = Readonly<Record<"A" | "B" | "P" | "v", Value>>;

function sizesOf(site: TinySite, { r }: Options): { rows: number; columns: number; rank: number } {
  const [rows, columns] =
    site.kind === "linear" ? [site.outFeatures, site.inFeatures] : [site.rows, site.width];
  return { rows, columns, rank: Math.min(r, rows, columns) };
}

/** Python's round: halves go to the even neighbour. */
function roundHalfEven(x: number): number {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1;
}

/** Group of a module by its place among all. */
function groupOf(place: number, count: number, { weight_tying: tying }: Options): number {
  const groups = Math.max(1, roundHalfEven(count * (1 - tying)));
  const size = Math.max(1, Math.floor(count / groups));
  return Math.min(Math.floor(place / size), groups - 1);
}

/** sum_i v_i P_i: (rank, rank). */
function mixed({ v, P }: Params, { u }: Options, rank: number, b: OpBuilder): Value {
  return b.reshape(b.matmul(b.reshape(v, [1, u]), b.reshape(P, [u, rank * rank])), [rank, rank]);
}

const kept = new KeptByWeight<SingularParts>();

/** The factors' starting values: A = sqrt(S) V and B = U sqrt(S). */
function factors(site: TinySite, o: Options): { A: Initializer; B: Initializer } {
  const { rows, columns, rank } = sizesOf(site, o);
  const parts = kept.for(site, String(rank), () => singularParts(weightElements(site), rows, columns, rank));
  const root = (i: number): number => Math.sqrt(parts().values[i] ?? 0);
  return {
    A: () =>
      Float32Array.from(
        parts().right.subarray(0, rank * columns),
        (value, i) => value * root(Math.floor(i / columns)),
      ),
    B: () => Float32Array.from(parts().left, (value, i) => value * root(i % rank)),
  };
}

export default defineAdapter({
  name: "tinylora",
  peftType: "TINYLORA",
  summary:
    "Adds random matrices mixed by a few trained numbers between the singular vectors of frozen weights",
  formula:
    "y = W x + b + B (sum_i v_i P_i) A x, with A = sqrt(S) V and B = U sqrt(S) of W's largest singular values, P random",
  paper: "Learning to Reason in 13 Parameters, 2026, https://arxiv.org/abs/2602.04118",
  options,
  peftConfig: { fan_in_fan_out: false },
  sites: ["linear", "embedding"],
  accepts: (site, o) => {
    const { rank } = sizesOf(site, o);
    // PyTorch draws fewer than 16 normal numbers in another way.
    return o.u * rank * rank >= 16
      ? true
      : `its ${o.u} random matrices of size ${rank} have fewer than 16 elements`;
  },
  identityAtStart: (o) => o.init_weights === true,
  parameters: (site, o, sites) => {
    const { rows, columns, rank } = sizesOf(site, o);
    const paths = definitionOrder(sites, "tinylora");
    const place = paths.indexOf(basePath(site));
    const { A, B } = factors(site, o);
    return {
      v: {
        key: `tinylora_v.${groupOf(place, paths.length, o)}`,
        shape: [o.u],
        init: o.init_weights === true ? filled(0) : uniform(o.init_v_bound),
        owner: null,
      },
      A: { key: "tinylora_A", shape: [rank, columns], init: A, trainable: false },
      B: { key: "tinylora_B", shape: [rows, rank], init: B, trainable: false },
      P: {
        key: "tinylora_P",
        shape: [o.u, rank, rank],
        init: () =>
          drawNormal(new TorchGenerator(o.projection_seed + place), o.u * rank * rank, 1 / Math.sqrt(rank)),
        trainable: false,
        saved: o.save_projection,
      },
    };
  },
  build: ({ site, x, y, params, options: o, b, dropout }) => {
    const { rank } = sizesOf(site, o);
    const middle = mixed(params, o, rank, b);
    if (site.kind === "embedding") {
      const rows = dropout(b.gather(params.B, x), o.tinylora_dropout);
      return b.add(y, b.matmul(b.matmul(rows, middle), params.A));
    }
    const inner = b.matmul(dropout(x, o.tinylora_dropout), b.transpose(params.A, [1, 0]));
    const up = b.transpose(b.matmul(params.B, middle), [1, 0]);
    return b.add(y, b.matmul(inner, up));
  },
  merge: ({ site, weight, params, options: o, b }) => {
    const middle = mixed(params, o, sizesOf(site, o).rank, b);
    return { weight: b.add(weight, b.matmul(b.matmul(params.B, middle), params.A)) };
  },
});
