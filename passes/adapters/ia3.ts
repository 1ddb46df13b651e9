/** IA3: learned factors on the outputs, or for feed-forward modules on the inputs, of frozen layers. */
import { z } from "zod";
import { defineAdapter, type MergeContext, type Merged } from "../../src/adapt/define.ts";
import { filled, normal } from "../../src/adapt/initializers.ts";
import { fullMatch } from "../../src/adapt/pattern.ts";
import { names, targetOptions } from "../../src/adapt/targets.ts";
import { combineTensors } from "../../src/adapt/task-arithmetic.ts";
import type { Value } from "../../src/ir/value.ts";
import { fromNumbers } from "../../src/ops/ndarray.ts";
import type { MatrixSite } from "./parts/layer-matrix.ts";

const { target_modules, exclude_modules, modules_to_save } = targetOptions;

const options = z
  .strictObject({
    feedforward_modules: names
      .nullable()
      .default(null)
      .describe(
        "targets whose inputs are scaled instead of their outputs; matched by plain suffix, or as a regular expression",
      ),
    init_ia3_weights: z.boolean().default(true).describe("true: factors start at 1; false: normal"),
    target_modules,
    exclude_modules,
    modules_to_save,
  })
  .check(({ value: { target_modules: targets, feedforward_modules: inner }, issues }) => {
    // As PEFT does: a module that is no target would silently not be adapted at all.
    if (!Array.isArray(targets) || !Array.isArray(inner)) return;
    if (inner.every((name) => targets.includes(name))) return;
    issues.push({
      code: "custom",
      path: ["feedforward_modules"],
      message: "expected some of target_modules",
      input: inner,
    });
  });

type Options = z.output<typeof options>;

/** PEFT tests a list by plain string suffix, without a dot. */
function isFeedforward({ feedforward_modules: modules }: Options, path: string): boolean {
  if (modules === null) return false;
  if (typeof modules === "string") return fullMatch(modules, path);
  return modules.some((name) => path.endsWith(name));
}

function shapeOf(site: MatrixSite, feedforward: boolean): readonly number[] {
  if (site.kind === "conv") {
    return [1, feedforward ? site.inChannels : site.outChannels, ...site.kernel.map(() => 1)];
  }
  return feedforward ? [1, site.inFeatures] : [site.outFeatures, 1];
}

/** Weights by the factors of inputs or outputs; of outputs, biases too. */
function scaled(
  { site, weight, bias, options: o, b }: MergeContext<z.output<typeof options>, "l", MatrixSite["kind"]>,
  l: Value,
): Merged | string {
  const feedforward = isFeedforward(o, site.path);
  const grouped = site.kind === "conv" && site.groups > 1;
  if (feedforward && grouped) return "its convolution is grouped and its inputs are scaled";
  const perOutput = site.kind === "conv" && !feedforward;
  const factor = perOutput ? b.reshape(l, [site.outChannels, 1, ...site.kernel.map(() => 1)]) : l;
  const merged = { weight: b.mul(weight, factor) };
  return feedforward || bias === undefined ? merged : { ...merged, bias: b.mul(bias, b.reshape(l, [-1])) };
}

export default defineAdapter({
  name: "ia3",
  peftType: "IA3",
  summary: "Scales outputs (or, for feed-forward modules, inputs) of frozen layers by learned factors",
  formula: "y = l * (W x + b), or W (l * x) + b in feed-forward modules",
  paper:
    "Liu et al. 2022, Few-Shot Parameter-Efficient Fine-Tuning is Better and Cheaper than In-Context Learning, https://arxiv.org/abs/2205.05638",
  options,
  peftConfig: { fan_in_fan_out: false },
  sites: ["linear", "conv"],
  identityAtStart: (o) => o.init_ia3_weights,
  stacks: () => true,
  combination: {
    types: ["linear"],
    keys: ["ia3_l"],
    options: (given) => {
      const lists = given.map((o) => o.feedforward_modules ?? []);
      const [first = []] = lists;
      if (lists.every((list) => JSON.stringify(list) === JSON.stringify(first)))
        return { feedforward_modules: first };
      if (lists.some((list) => typeof list === "string"))
        return "feedforward_modules is a regular expression in one of them, and another in others";
      return { feedforward_modules: [...new Set(lists.flat())] };
    },
    module: (parts, { rule }) => {
      const [first, ...rest] = parts.map(({ tensors, weight }) => ({ l: tensors.ia3_l, weight }));
      const all = [first, ...rest].flatMap((part) =>
        part?.l === undefined ? [] : [{ l: part.l, values: part.l.numbers, weight: part.weight }],
      );
      const shape = all[0]?.l.shape ?? [];
      if (all.some(({ l }) => l.shape.join() !== shape.join()))
        return "some scale its inputs, others its outputs";
      return { ia3_l: fromNumbers("float32", shape, combineTensors(all, rule)) };
    },
  },
  parameters: (site, o) => ({
    l: {
      key: "ia3_l",
      shape: shapeOf(site, isFeedforward(o, site.path)),
      init: o.init_ia3_weights ? filled(1) : normal(1),
    },
  }),
  build: ({ site, x, y, base, params: { l }, options: o, b }) => {
    const factor = site.kind === "linear" ? b.reshape(l, [-1]) : l;
    return isFeedforward(o, site.path) ? base(b.mul(x, factor)) : b.mul(y, factor);
  },
  merge: (context) => scaled(context, context.params.l),
  unmerge: (context) => scaled(context, context.b.div(1, context.params.l)),
});
