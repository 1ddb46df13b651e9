/** LoHa: the element-wise product of two low-rank products beside a frozen weight. */
import { z } from "zod";
import { weightShape } from "../../src/adapt/base-weight.ts";
import { defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { filled, kaimingUniform } from "../../src/adapt/initializers.ts";
import { byPattern, checkLayers, matchPattern, targetOptions } from "../../src/adapt/targets.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { factorOf, type Params, windowedProduct } from "./parts/factors.ts";
import { type MatrixSite, sizesOf } from "./parts/layer-matrix.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(8).describe("rank of each of the two factors"),
    alpha: z.number().default(8).describe("numerator of the scaling: alpha / r"),
    use_effective_conv2d: z
      .boolean()
      .default(false)
      .describe("decompose windows larger than 1x1 along their axes, too (FedPara, proposition 3)"),
    init_weights: z.boolean().default(true).describe("true: the product starts at 0; false: all random"),
    rank_pattern: byPattern(z.int().min(1))
      .default({})
      .describe("ranks by regular expression over the end of a path"),
    alpha_pattern: byPattern(z.number()).default({}).describe("alpha in the same way"),
    ...targetOptions,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

function hasCore(site: MatrixSite, o: Options): boolean {
  return o.use_effective_conv2d && site.kind === "conv" && sizesOf(site).window > 1;
}

/** One low-rank product in the layout of the weight. */
function productOf(site: MatrixSite, index: 1 | 2, params: Params, o: Options, b: OpBuilder): Value {
  const left = factorOf(params, `w${index}a`);
  const right = factorOf(params, `w${index}b`);
  const shape = weightShape(site);
  if (!hasCore(site, o)) return b.reshape(b.matmul(left, right), shape);
  const core = factorOf(params, `t${index}`);
  return b.reshape(windowedProduct({ left, core, right }, { rank: o.r, ...sizesOf(site) }, b), shape);
}

function deltaOf(site: MatrixSite, params: Params, o: Options, b: OpBuilder): Value {
  const [first, second] = [productOf(site, 1, params, o, b), productOf(site, 2, params, o, b)];
  return b.mul(b.mul(first, second), o.alpha / o.r);
}

export default defineAdapter({
  name: "loha",
  peftType: "LOHA",
  summary: "Adds the element-wise product of two low-rank products to frozen weights",
  formula: "y = (W + s (A1 B1) * (A2 B2)) x + b, with * element-wise and s = alpha / r",
  paper:
    "Hyeon-Woo et al. 2021, FedPara: Low-Rank Hadamard Product for Communication-Efficient Federated Learning, https://arxiv.org/abs/2108.06098",
  options,
  peftConfig: { module_dropout: 0, rank_dropout: 0 },
  sites: ["linear", "conv"],
  accepts: (site, o) =>
    !hasCore(site, o) || (site.kind === "conv" && site.kernel.length === 2)
      ? true
      : "use_effective_conv2d needs a window of two axes",
  optionsFor: (o, path) => ({
    ...o,
    r: matchPattern(o.rank_pattern, path) ?? o.r,
    alpha: matchPattern(o.alpha_pattern, path) ?? o.alpha,
  }),
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o): Record<string, ParameterSpec> => {
    const { outputs, inputs, window } = sizesOf(site);
    const core = hasCore(site, o);
    const init = kaimingUniform();
    const left = core ? [o.r, outputs] : [outputs, o.r];
    const right = [o.r, core ? inputs : inputs * window];
    const cores = site.kind === "conv" && core ? [o.r, o.r, ...site.kernel] : undefined;
    return {
      w1a: { key: "hada_w1_a", shape: left, init },
      w1b: { key: "hada_w1_b", shape: right, init },
      w2a: { key: "hada_w2_a", shape: left, init },
      w2b: { key: "hada_w2_b", shape: right, init: o.init_weights ? filled(0) : init },
      ...(cores === undefined
        ? {}
        : {
            t1: { key: "hada_t1", shape: cores, init },
            t2: { key: "hada_t2", shape: cores, init },
          }),
    };
  },
  build: ({ site, x, weight, base, params, options: o, b }) =>
    base(x, { weight: b.add(weight(), deltaOf(site, params, o, b)) }),
  merge: ({ site, weight, params, options: o, b }) => ({
    weight: b.add(weight, deltaOf(site, params, o, b)),
  }),
});
