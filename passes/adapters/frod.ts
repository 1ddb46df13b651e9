/** FRoD: frozen weights taken apart along directions that modules of one role share, with trained and sparse factors between. */
import { z } from "zod";
import { weightElements } from "../../src/adapt/base-weight.ts";
import { type DerivedStart, defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { filled, normal } from "../../src/adapt/initializers.ts";
import { basePath } from "../../src/adapt/select.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import { randomPermutation, TorchGenerator } from "../../src/adapt/torch-random.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { withBias } from "./parts/bias.ts";
import { jointFactor, normalisedFactor, turnedInverse } from "./parts/joint-factor.ts";
import { KeptByWeight } from "./parts/kept.ts";

const { target_modules, layers_to_transform, layers_pattern, modules_to_save } = targetOptions;

const options = z
  .strictObject({
    sparse_rate: z
      .number()
      .min(0)
      .max(1)
      .default(0.01)
      .describe("part of the elements off the diagonal that are trained, too"),
    regularization_alpha: z
      .number()
      .positive()
      .default(0.001)
      .describe("what keeps the inverses apart from 0 that the shared directions are made of"),
    projection_prng_key: z
      .int()
      .nonnegative()
      .default(0)
      .describe("seed of the places off the diagonal, drawn as PyTorch draws them"),
    save_projection: z
      .boolean()
      .default(true)
      .describe("write shared directions and places into checkpoints; false: they are made anew"),
    frod_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of the update"),
    init_weights: z
      .boolean()
      .default(true)
      .describe("true: the product starts as the weight; false: with noise added"),
    bias: z
      .enum(["none", "all", "frod_only"])
      .default("none")
      .describe("which biases of the base model are trained, too"),
    progressbar: z.boolean().default(true).describe("whether PEFT shows its progress; nothing here"),
    runtime_offload_base_weight: z
      .boolean()
      .default(false)
      .describe("whether PEFT moves weights off the device; nothing here"),
    target_modules,
    layers_to_transform,
    layers_pattern,
    modules_to_save,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;
type Name = "l" | "s" | "U" | "V" | "places" | "size";
type Params = Readonly<Record<Name, Value>>;

/** The role of a module in its block, by the last names of its path, as PEFT tells it. */
function categoryOf(site: LinearSite): string {
  const parts = basePath(site).split(".");
  const [last = "", before] = [parts.at(-1), parts.at(-2)];
  if (before === undefined || /^\d+$/.test(before)) return last;
  const category = `${before}_${last}`;
  return category === "output_dense" && parts.at(-3) === "attention" ? "attention_output" : category;
}

/** Number of the block that a module lies in; its place among all modules where its path has none. */
function blockOf(site: LinearSite, place: number): number {
  const parts = basePath(site).split(".");
  const behind = parts[parts.indexOf("layers") + 1];
  if (parts.includes("layers") && behind !== undefined && /^\d+$/.test(behind)) return Number(behind);
  return Number(parts.find((part) => /^\d+$/.test(part)) ?? place);
}

/** One module for each path. */
function modulesOf(sites: readonly LinearSite[]): LinearSite[] {
  return [...new Map(sites.map((site) => [basePath(site), site])).values()];
}

/** Number of trained elements off the diagonal. */
function countOf(width: number, { sparse_rate: rate }: Options): number {
  const most = width * width - width;
  const count = Math.min(Math.trunc(width * width * rate), most);
  return rate > 0 && most > 0 ? Math.max(1, count) : count;
}

/** Rows and columns of these elements, (2, count): one generator draws for all roles, in the order of their names. */
function placesOf(site: LinearSite, o: Options, modules: readonly LinearSite[]): Int32Array<ArrayBuffer> {
  const widths = new Map(modules.map((each) => [categoryOf(each), each.inFeatures]));
  const generator = new TorchGenerator(o.projection_prng_key);
  for (const [category, width] of [...widths].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const length = width * width - width;
    const count = countOf(width, o);
    if (count === 0) continue;
    const isOwn = category === categoryOf(site);
    const chosen = randomPermutation(generator, length, isOwn ? count : length);
    if (!isOwn) continue;
    return Int32Array.from({ length: 2 * count }, (_, i) => {
      const place = chosen[i % count] ?? 0;
      const row = Math.floor(place / (width - 1));
      const column = place % (width - 1);
      return i < count ? row : column + (column >= row ? 1 : 0);
    });
  }
  return new Int32Array(0);
}

interface Directions {
  readonly inverse: Float64Array;
  readonly modules: KeptByWeight<ReturnType<typeof normalisedFactor>>;
}

const known = new WeakMap<Float32Array, Directions>();

/** What follows from shared directions, once for all modules. */
function directionsOf(V: Float32Array, width: number): Directions {
  const own = known.get(V) ?? { inverse: turnedInverse(V, width), modules: new KeptByWeight() };
  known.set(V, own);
  return own;
}

/** S + diag(l): (in, in). */
function middleOf({ inFeatures }: LinearSite, { l, s, places }: Params, o: Options, b: OpBuilder): Value {
  const zeros = b.expand(b.scalar(0, "float32"), b.ints([inFeatures, inFeatures]));
  const diagonal = b.ints(Array.from({ length: inFeatures }, (_, i) => [i, i]).flat());
  const withDiagonal = b.op("ScatterND", [zeros, b.reshape(diagonal, [inFeatures, 2]), l]);
  if (countOf(inFeatures, o) === 0) return withDiagonal;
  return b.op("ScatterND", [withDiagonal, b.transpose(places, [1, 0]), s]);
}

const signs = "its directions are eigenvectors, whose signs and order each library chooses in its own way";

export default defineAdapter({
  name: "frod",
  peftType: "FROD",
  summary: "Trains factors between directions that frozen linear weights of one role share",
  formula:
    "y = U (S + diag(l)) V^T x + b, with U diag(l) V^T = W at the start, S sparse, and V shared by all modules of one role",
  paper: "FRoD, AAAI 2026, https://doi.org/10.1609/aaai.v40i31.39813",
  options,
  peftConfig: { fan_in_fan_out: false },
  // PEFT makes U of directions that it finds anew, and then loads those of the folder.
  unportable: (o) => ({ toPeft: signs, ...(o.save_projection ? {} : { fromPeft: signs }) }),
  sites: ["linear"],
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o, sites): Record<Name, ParameterSpec> => {
    const { inFeatures: width, outFeatures } = site;
    const modules = modulesOf(sites);
    const category = categoryOf(site);
    const shared = { owner: null, trainable: false, saved: o.save_projection } as const;
    const joint = (): Float32Array<ArrayBuffer> => {
      const blocks = modules.map((each, place) => ({ each, block: blockOf(each, place) }));
      const group = blocks.filter(({ each }) => categoryOf(each) === category);
      const weights = group.sort((a, b) => a.block - b.block).map(({ each }) => weightElements(each));
      return jointFactor(weights, width, o.regularization_alpha);
    };
    const split = (part: "U" | "l"): DerivedStart => ({
      from: (start) => {
        const { inverse, modules: known } = directionsOf(start("V"), width);
        const factor = known.for(site, "", () =>
          normalisedFactor(weightElements(site), inverse, outFeatures, width),
        );
        return factor()[part];
      },
    });
    const count = countOf(width, o);
    return {
      V: { ...shared, key: `frod_V.${category}`, shape: [width, width], init: joint },
      places: {
        ...shared,
        key: `frod_s_indices.${category}`,
        shape: [2, count],
        init: { whole: () => placesOf(site, o, modules) },
        dtype: "int64",
      },
      size: {
        ...shared,
        key: `frod_s_size.${category}`,
        shape: [2],
        init: filled(width),
        dtype: "int64",
      },
      U: { key: "frod_U", shape: [outFeatures, width], init: split("U"), trainable: false, saved: false },
      l: { key: "frod_lambda_l", shape: [width], init: split("l") },
      s: {
        key: "frod_lambda_s_values",
        shape: [count],
        init: o.init_weights ? filled(0) : normal(0.1),
      },
    };
  },
  build: ({ site, x, y, weight, params, options: o, b, dropout }) => {
    const dropped = dropout(x, o.frod_dropout);
    const turned = b.transpose(middleOf(site, params, o, b), [1, 0]);
    const product = b.matmul(b.matmul(b.matmul(dropped, params.V), turned), b.transpose(params.U, [1, 0]));
    if (dropped === x) return withBias(site, product, b);
    return b.add(y, b.sub(product, b.matmul(dropped, b.transpose(weight(), [1, 0]))));
  },
  merge: ({ site, params, options: o, b }) => ({
    weight: b.matmul(b.matmul(params.U, middleOf(site, params, o, b)), b.transpose(params.V, [1, 0])),
  }),
  unmerge: "merging puts other values in the place of those of the base model, which are not kept",
});
