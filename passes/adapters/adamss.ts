/** AdaMSS: low-rank updates of groups of a weight's rows, between frozen directions of the weight itself. */
import { z } from "zod";
import { defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { filled, normal } from "../../src/adapt/initializers.ts";
import { targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import { adaptErrors } from "../../src/diagnostics/adapt.ts";
import type { Tensor } from "../../src/ir/tensor.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { allocationHook, factorsOf } from "./parts/allocation.ts";
import { factorOf, type Params } from "./parts/factors.ts";
import { subspacesOf, widthOf } from "./parts/subspaces.ts";

const schedule = "of the schedule that drops subspaces";

const options = z
  .strictObject({
    r: z.int().min(1).default(100).describe("number of directions that a weight keeps"),
    num_subspaces: z.int().min(1).default(5).describe("groups of rows"),
    subspace_rank: z.int().min(1).default(1).describe("rank of the update of a group"),
    init_weights: z
      .enum(["orthogonal"])
      .nullable()
      .default("orthogonal")
      .describe("orthogonal: B starts at 0; null: small normal numbers"),
    use_asa: z.boolean().default(false).describe("whether the subspaces that matter least are dropped"),
    asa_target_subspaces: z
      .int()
      .min(1)
      .default(50)
      .describe(`subspaces of all modules at the end ${schedule}`),
    init_warmup: z.int().nonnegative().default(50).describe(`first step ${schedule}`),
    final_warmup: z.int().nonnegative().default(1000).describe(`last step ${schedule}`),
    mask_interval: z.int().min(1).default(100).describe(`steps between two changes ${schedule}`),
    asa_importance_beta: z
      .number()
      .min(0)
      .lt(1)
      .default(0.85)
      .describe(`smoothing of sensitivities ${schedule}`),
    asa_uncertainty_beta: z
      .number()
      .min(0)
      .lt(1)
      .default(0.85)
      .describe(`smoothing of uncertainties ${schedule}`),
    asa_schedule_exponent: z.number().gt(0).default(3).describe(`power of the time that is left ${schedule}`),
    use_dynamic_rank: z
      .boolean()
      .default(false)
      .describe("whether groups whose rows are nearly dependent have a lower rank"),
    svd_threshold: z
      .number()
      .min(0)
      .lt(1)
      .default(0.1)
      .describe("smallest eigenvalue that counts for the rank of a group, as part of the largest"),
    random_seed: z.int().nonnegative().default(0).describe("seed of the search for directions"),
    ...targetOptions,
  })
  .check(({ value, issues }) => {
    if (!value.use_asa || value.init_warmup < value.final_warmup) return;
    const message = `expected more than init_warmup ${value.init_warmup}`;
    issues.push({ code: "custom", path: ["final_warmup"], message, input: value.final_warmup });
  });

const evenly =
  "it keeps as many directions as a weight has outputs: rows are then equally far from each other, and which of them are grouped is a matter of rounding";

/** Refuses to carry groups of rows that another program would make otherwise, since folders do not hold them. */
function requireGroups(tensors: ReadonlyMap<string, Tensor>): void {
  for (const [key, { dims }] of tensors) {
    const path = /^base_model\.model\.(.*)\.adamss_newB$/.exec(key)?.[1];
    if (path === undefined) continue;
    const first = `base_model.model.${path}.adamss_B.`;
    const rows = [...tensors].reduce(
      (sum, [other, tensor]) => sum + (other.startsWith(first) ? (tensor.dims[0] ?? 0) : 0),
      0,
    );
    if ((dims[0] ?? 0) >= rows) throw adaptErrors.E_ADAPTER_UNPORTABLE(path, "adamss", evenly);
  }
}

/** Factors of all subspaces side by side: (rank, width of the input) and (out, rank). */
function factors(params: Params, b: OpBuilder): { readonly down: Value; readonly up: Value } {
  const count = Object.keys(params).filter((name) => /^A\d+$/.test(name)).length;
  const pairs = Array.from({ length: count }, (_, i) => factorsOf(i).map((name) => factorOf(params, name)));
  const ranks = pairs.map(([A]) => Number(A?.tensorType?.shape?.[0] ?? 0));
  const total = ranks.reduce((sum, rank) => sum + rank, 0);
  const blocks = pairs.flatMap(([, B], i) => {
    if (B === undefined) return [];
    const before = ranks.slice(0, i).reduce((sum, rank) => sum + rank, 0);
    const after = total - before - (ranks[i] ?? 0);
    return [b.op("Pad", [B, b.ints([0, before, 0, after])], { mode: "constant" })];
  });
  const grouped = b.concat(blocks, 0);
  const rows = b.unsqueeze(factorOf(params, "rows"), [1]);
  return {
    down: b.matmul(
      b.concat(
        pairs.flatMap(([A]) => (A === undefined ? [] : [A])),
        0,
      ),
      factorOf(params, "directions"),
    ),
    up: b.op("ScatterND", [b.zerosLike(grouped), rows, grouped]),
  };
}

/** Columns of a matrix. */
function columns(b: OpBuilder, matrix: Value, from: number, to: number): Value {
  return b.slice(matrix, { starts: [from], ends: [to], axes: [1] });
}

export default defineAdapter({
  name: "adamss",
  peftType: "ADAMSS",
  summary: "Trains low-rank updates of groups of rows, between frozen directions of the weight",
  formula:
    "y_g = W_g x + b_g + B_g A_g V [x; 1] for each group g of rows, with V the largest right singular vectors of [W b]",
  paper:
    "AdaMSS: Adaptive Multi-Subspace Approach for Parameter-Efficient Fine-Tuning, https://openreview.net/forum?id=8ZdWmpYxT0",
  options,
  peftConfig: {},
  absentInPeft: ["exclude_modules"],
  sites: ["linear"],
  accepts: ({ outFeatures }, o) =>
    o.use_asa && outFeatures < o.num_subspaces
      ? `its ${outFeatures} outputs are fewer than num_subspaces ${o.num_subspaces}, while use_asa compares as many of each module`
      : true,
  identityAtStart: (o) => o.init_weights === "orthogonal",
  parameters: (site, o): Record<string, ParameterSpec> => {
    const { directions, count, groups } = subspacesOf(site, o);
    const frozen = { trainable: false } as const;
    const specs: Record<string, ParameterSpec> = {
      directions: {
        ...frozen,
        key: "adamss_newB",
        shape: [count, widthOf(site)],
        init: () => Float32Array.from(directions),
      },
      rows: {
        ...frozen,
        saved: false,
        key: "scatter_index",
        shape: [site.outFeatures],
        init: { whole: () => Int32Array.from(groups.flatMap(({ rows }) => rows)) },
        dtype: "int64",
      },
    };
    for (const [i, { rows, rank, start }] of groups.entries()) {
      const [A, B] = factorsOf(i);
      specs[A] = { key: `adamss_A.${i}`, shape: [rank, count], init: () => Float32Array.from(start) };
      specs[B] = {
        key: `adamss_B.${i}`,
        shape: [rows.length, rank],
        init: o.init_weights === null ? normal(0.01) : filled(0),
      };
    }
    return specs;
  },
  hook: (o) => (o.use_asa ? allocationHook(o) : undefined),
  toPeft: ({ options: o, tensors }) => {
    requireGroups(tensors);
    return { options: o, tensors };
  },
  restore: (tensors) => {
    if (![...tensors.keys()].some((key) => key.endsWith(".scatter_index"))) requireGroups(tensors);
    return tensors;
  },
  build: ({ site, x, y, params, b }) => {
    const { down, up } = factors(params, b);
    const read = columns(b, down, 0, site.inFeatures);
    const product = b.matmul(x, b.transpose(read, [1, 0]));
    const inner = site.bias === undefined ? product : b.add(product, biasOf(site, down, b));
    return b.add(y, b.matmul(inner, b.transpose(up, [1, 0])));
  },
  merge: ({ site, weight, bias, params, b }) => {
    const { down, up } = factors(params, b);
    const merged = { weight: b.add(weight, b.matmul(up, columns(b, down, 0, site.inFeatures))) };
    if (site.bias === undefined || bias === undefined) return merged;
    return {
      ...merged,
      bias: b.add(bias, b.reshape(b.matmul(up, b.unsqueeze(biasOf(site, down, b), [1])), [-1])),
    };
  },
});

/** What the input 1 of the bias adds within the rank: (rank). */
function biasOf({ inFeatures }: LinearSite, down: Value, b: OpBuilder): Value {
  return b.reshape(columns(b, down, inFeatures, inFeatures + 1), [-1]);
}
