/** LoHa: the element-wise product of two low-rank products beside a frozen weight. */
import { z } from "zod";
import { defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { filled, kaimingUniform } from "../../src/adapt/initializers.ts";
import { byPattern, checkLayers, matchPattern, targetOptions } from "../../src/adapt/targets.ts";
import type { Site } from "../../src/analysis/sites.ts";
import { InternalError } from "../../src/diagnostics/define.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { requireMatrix, sizesOf, weightShape } from "./parts/layer-matrix.ts";

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
type Params = Readonly<Record<string, Value>>;

function hasCore(site: Site, o: Options): boolean {
  return o.use_effective_conv2d && site.kind === "conv" && sizesOf(site).window > 1;
}

function part(params: Params, name: string): Value {
  const value = params[name];
  if (value === undefined) throw new InternalError(`LoHa without its factor ${name}`);
  return value;
}

/** One low-rank product in the layout of the weight. */
function productOf(site: Site, index: 1 | 2, params: Params, o: Options, b: OpBuilder): Value {
  const left = part(params, `w${index}a`);
  const right = part(params, `w${index}b`);
  const shape = weightShape(site);
  if (!hasCore(site, o)) return b.reshape(b.matmul(left, right), shape);
  // left' (out, r) x core (r, r k) -> (out, r, k) -> (k, out, r) x right (r, in) -> (k, out, in).
  const { outputs, inputs, window } = sizesOf(site);
  const core = b.reshape(part(params, `t${index}`), [o.r, o.r * window]);
  const wide = b.reshape(b.matmul(b.transpose(left, [1, 0]), core), [outputs, o.r, window]);
  const product = b.matmul(b.transpose(wide, [2, 0, 1]), right);
  return b.reshape(b.transpose(b.reshape(product, [window, outputs, inputs]), [1, 2, 0]), shape);
}

function deltaOf(site: Site, params: Params, o: Options, b: OpBuilder): Value {
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
  parameters: (anySite, o): Record<string, ParameterSpec> => {
    const site = requireMatrix(anySite);
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
