/** UniLoRA: low-rank factors of all modules filled from one short trained vector, each element at many random places. */
import { z } from "zod";
import { defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { definitionOrder } from "../../src/adapt/definition-order.ts";
import { normal, uniform } from "../../src/adapt/initializers.ts";
import { NumpyGenerator } from "../../src/adapt/numpy-random.ts";
import { basePath } from "../../src/adapt/select.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";

const { target_modules, layers_to_transform, layers_pattern, modules_to_save } = targetOptions;

const options = z
  .strictObject({
    r: z.int().min(1).default(4).describe("rank of the update"),
    theta_d_length: z.int().min(1).default(256).describe("length of the trained vector"),
    proj_seed: z
      .int()
      .nonnegative()
      .default(42)
      .describe("seed of the places, drawn as NumPy draws them, over modules in the order of execution"),
    save_indices: z
      .boolean()
      .default(true)
      .describe(
        "write the places into checkpoints; false, PEFT's default: they are drawn anew, over modules in the order of their definition there",
      ),
    unilora_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of A"),
    init_weights: z
      .boolean()
      .default(true)
      .describe("true: the vector starts uniform within init_theta_d_bound; false: normal"),
    init_theta_d_bound: z.number().min(0).default(0.02).describe("bound of the vector at the start"),
    bias: z
      .enum(["none", "all", "unilora_only"])
      .default("none")
      .describe("which biases of the base model are trained, too"),
    target_modules,
    layers_to_transform,
    layers_pattern,
    modules_to_save,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;
type Name = "theta" | "indicesA" | "indicesB" | "scalesA" | "scalesB";
type Params = Readonly<Record<Name, Value>>;

const countOf = ({ inFeatures, outFeatures }: LinearSite, { r }: Options): number =>
  r * (inFeatures + outFeatures);

interface Assignment {
  /** Element of the vector at each place of all factors, one after the other. */
  readonly indices: Int32Array;
  /** One over the square root of the number of places of each element. */
  readonly scales: Float32Array;
}

/** The last one drawn: every factor of a model is a stretch of the same. */
let last: { readonly key: string; readonly assignment: Assignment } | undefined;

/** Every element at nearly as many places, and these in random order. */
function assign(places: number, { theta_d_length: length, proj_seed: seed }: Options): Assignment {
  const key = [places, length, seed].join();
  if (last?.key === key) return last.assignment;
  const generator = new NumpyGenerator(seed);
  const each = Math.floor(places / length);
  const indices = new Int32Array(places);
  for (let i = 0; i < each * length; i++) indices[i] = Math.floor(i / each);
  if (places > each * length) indices.set(generator.choose(length, places - each * length), each * length);
  generator.shuffle(indices);
  const counts = new Float64Array(length);
  for (const index of indices) counts[index] = (counts[index] ?? 0) + 1;
  const assignment = { indices, scales: Float32Array.from(counts, (count) => 1 / Math.sqrt(count || 1)) };
  last = { key, assignment };
  return assignment;
}

/** A (r, in) and B (out, r). */
function factorsOf(params: Params, b: OpBuilder): [Value, Value] {
  const filled = (indices: Value, scales: Value): Value => b.mul(b.gather(params.theta, indices), scales);
  return [filled(params.indicesA, params.scalesA), filled(params.indicesB, params.scalesB)];
}

export default defineAdapter({
  name: "unilora",
  peftType: "UNILORA",
  summary: "Adds low-rank products whose factors are filled from one trained vector of the whole model",
  formula:
    "y = W x + b + B A x, with every element of A and B one of theta over the square root of its number of places",
  paper: "Li et al. 2025, Uni-LoRA: One Vector Is All You Need, https://arxiv.org/abs/2506.00799",
  options,
  peftConfig: { fan_in_fan_out: false },
  sites: ["linear"],
  identityAtStart: () => false,
  shared: (_, o) => ({
    theta: {
      key: "unilora_theta_d",
      shape: [o.theta_d_length],
      init: o.init_weights ? uniform(o.init_theta_d_bound) : normal(1),
    },
  }),
  parameters: (site, o, sites) => {
    const { inFeatures, outFeatures } = site;
    const byPath = new Map(sites.map((each) => [basePath(each), each]));
    const modules = definitionOrder(sites, "unilora").flatMap((path) => byPath.get(path) ?? []);
    const total = modules.reduce((sum, each) => sum + countOf(each, o), 0);
    const before = modules.findIndex((each) => basePath(each) === basePath(site));
    const start = modules.slice(0, before).reduce((sum, each) => sum + countOf(each, o), 0);
    const stretch = (from: number, size: number): Int32Array =>
      assign(total, o).indices.subarray(start + from, start + from + size);
    const common = { trainable: false, saved: o.save_indices };
    const pair = (name: "A" | "B", shape: readonly [number, number], from: number) => {
      const size = shape[0] * shape[1];
      const indices: ParameterSpec = {
        ...common,
        key: `unilora_indices_${name}`,
        shape,
        init: { whole: () => Int32Array.from(stretch(from, size)) },
        dtype: "int64",
      };
      const scales: ParameterSpec = {
        ...common,
        key: `unilora_scales_${name}`,
        shape,
        init: () => Float32Array.from(stretch(from, size), (index) => assign(total, o).scales[index] ?? 0),
      };
      return { indices, scales };
    };
    const A = pair("A", [o.r, inFeatures], 0);
    const B = pair("B", [outFeatures, o.r], o.r * inFeatures);
    return { indicesA: A.indices, indicesB: B.indices, scalesA: A.scales, scalesB: B.scales };
  },
  build: ({ x, y, params, options: o, b, dropout }) => {
    const [down, up] = factorsOf(params, b);
    const inner = b.matmul(dropout(x, o.unilora_dropout), b.transpose(down, [1, 0]));
    return b.add(y, b.matmul(inner, b.transpose(up, [1, 0])));
  },
  merge: ({ weight, params, b }) => {
    const [down, up] = factorsOf(params, b);
    return { weight: b.add(weight, b.matmul(up, down)) };
  },
});
