/** LoKr: a Kronecker product beside a frozen weight. */
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
    r: z.int().min(1).default(8).describe("rank of the factors that are decomposed"),
    alpha: z.number().default(8).describe("numerator of the scaling: alpha / r"),
    use_effective_conv2d: z
      .boolean()
      .default(false)
      .describe("decompose windows larger than 1x1 along their axes, too"),
    decompose_both: z.boolean().default(false).describe("decompose the left factor, too, where r is small"),
    decompose_factor: z
      .union([z.literal(-1), z.int().min(1)])
      .default(-1)
      .describe("size of the left factor; -1: as square as possible"),
    init_weights: z
      .union([z.boolean(), z.literal("lycoris")])
      .default(true)
      .describe("true: the left factor starts at 0; lycoris: the right one does; false: all random"),
    rank_pattern: byPattern(z.int().min(1))
      .default({})
      .describe("ranks by regular expression over the end of a path"),
    alpha_pattern: byPattern(z.number()).default({}).describe("alpha in the same way"),
    ...targetOptions,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

/** Two factors of a size: the given one where it divides, else the most square pair whose first is within it. */
function factorize(size: number, factor: number): [number, number] {
  if (factor > 0 && size % factor === 0) return [factor, size / factor];
  const limit = factor === -1 ? size : factor;
  let best: [number, number] = [1, size];
  for (let first = 2; first <= Math.min(limit, Math.floor(Math.sqrt(size))); first++) {
    if (size % first === 0) best = [first, size / first];
  }
  return best;
}

/** Sizes of w1 (l, m) and w2 (k, n), and how each is held. */
function planOf(site: MatrixSite, o: Options) {
  const { outputs, inputs, window } = sizesOf(site);
  const [l, k] = factorize(outputs, o.decompose_factor);
  const [m, n] = factorize(inputs, o.decompose_factor);
  const leftLow = o.decompose_both && o.r < Math.max(l, m) / 2;
  const rightLow = o.r < Math.max(k, n) / 2;
  const core = rightLow && o.use_effective_conv2d && site.kind === "conv" && window > 1;
  return { l, k, m, n, window, leftLow, rightLow, core };
}

/** s w1 (x) w2 in the layout of the weight. */
function deltaOf(site: MatrixSite, params: Params, o: Options, b: OpBuilder): Value {
  const { l, k, m, n, window, leftLow, rightLow, core } = planOf(site, o);
  const left = leftLow ? b.matmul(factorOf(params, "w1a"), factorOf(params, "w1b")) : factorOf(params, "w1");
  const right = (): Value => {
    if (!rightLow) return factorOf(params, "w2");
    const [first, second] = [factorOf(params, "w2a"), factorOf(params, "w2b")];
    if (!core) return b.matmul(first, second);
    const factors = { left: first, core: factorOf(params, "t2"), right: second };
    return windowedProduct(factors, { rank: o.r, outputs: k, window }, b);
  };
  const product = b.mul(
    b.reshape(b.mul(left, o.alpha / o.r), [l, 1, m, 1]),
    b.reshape(right(), [1, k, 1, n * window]),
  );
  return b.reshape(product, weightShape(site));
}

export default defineAdapter({
  name: "lokr",
  peftType: "LOKR",
  summary: "Adds a Kronecker product of two small matrices to frozen weights",
  formula: "y = (W + s kron(C, D)) x + b, with s = alpha / r and D, or both, low-rank products",
  paper:
    "Yeh et al. 2023, Navigating Text-To-Image Customization: From LyCORIS Fine-Tuning to Model Evaluation, https://arxiv.org/abs/2309.14859",
  options,
  peftConfig: { module_dropout: 0, rank_dropout: 0, rank_dropout_scale: false },
  sites: ["linear", "conv"],
  accepts: (site, o) =>
    !o.use_effective_conv2d || site.kind !== "conv" || site.kernel.length === 2
      ? true
      : "use_effective_conv2d needs a window of two axes",
  optionsFor: (o, path) => ({
    ...o,
    r: matchPattern(o.rank_pattern, path) ?? o.r,
    alpha: matchPattern(o.alpha_pattern, path) ?? o.alpha,
  }),
  identityAtStart: (o) => o.init_weights !== false,
  parameters: (site, o): Record<string, ParameterSpec> => {
    const { l, k, m, n, window, leftLow, rightLow, core } = planOf(site, o);
    const { r, init_weights: start } = o;
    const kernel = site.kind === "conv" ? site.kernel : [];
    const random = kaimingUniform();
    const left = start === true ? filled(0) : random;
    const right = start === "lycoris" ? filled(0) : random;
    return {
      ...(leftLow
        ? {
            w1a: { key: "lokr_w1_a", shape: [l, r], init: left },
            w1b: { key: "lokr_w1_b", shape: [r, m], init: random },
          }
        : { w1: { key: "lokr_w1", shape: [l, m], init: left } }),
      ...(core ? { t2: { key: "lokr_t2", shape: [r, r, ...kernel], init: random } } : {}),
      ...(rightLow
        ? {
            w2a: { key: "lokr_w2_a", shape: core ? [r, k] : [k, r], init: random },
            w2b: { key: "lokr_w2_b", shape: [r, core ? n : n * window], init: right },
          }
        : { w2: { key: "lokr_w2", shape: [k, n, ...kernel], init: right } }),
    };
  },
  build: ({ site, x, weight, base, params, options: o, b }) =>
    base(x, { weight: b.add(weight(), deltaOf(site, params, o, b)) }),
  merge: ({ site, weight, params, options: o, b }) => ({
    weight: b.add(weight, deltaOf(site, params, o, b)),
  }),
});
