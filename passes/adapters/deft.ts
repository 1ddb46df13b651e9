/** DEFT: takes a few trained directions out of what a frozen layer yields, and puts a trained map of its input there. */
import { z } from "zod";
import { weightElements } from "../../src/adapt/base-weight.ts";
import { type DerivedStart, defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { normal } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { withoutBias } from "./parts/bias.ts";
import { evaluated } from "./parts/evaluated.ts";
import { factorOf } from "./parts/factors.ts";
import { orthonormalBasis } from "./parts/orthonormal.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(8).describe("number of directions, at most as many as outputs"),
    decomposition_method: z
      .enum(["relu", "qr"])
      .default("relu")
      .describe("relu: the directions as they are, with weights that are not negative; qr: made orthonormal"),
    alpha: z
      .int()
      .nullable()
      .default(null)
      .describe("numerator of the scaling of R: alpha / r; null or 0: no scaling"),
    para: z
      .boolean()
      .default(false)
      .describe("only take out, put nothing there: then a fresh adapter changes the output"),
    init_scale: z.number().default(1).describe("factor of R's deviation where init_weights is false"),
    deft_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of R"),
    init_weights: z
      .boolean()
      .default(true)
      .describe("true: R starts as what is taken out; false: random, like P"),
    ...targetOptions,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

const rankOf = ({ outFeatures }: LinearSite, { r }: Options): number => Math.min(r, outFeatures);
const scalingOf = (site: LinearSite, o: Options): number =>
  o.alpha === null || o.alpha === 0 ? 1 : o.alpha / rankOf(site, o);

/** What stands at the left and the right of the projection, (out, r) each: Q right^T is what is taken out. */
function projectionOf(site: LinearSite, P: Value, o: Options, b: OpBuilder): { left: Value; right: Value } {
  if (o.decomposition_method === "relu") return { left: P, right: b.op("Relu", [P]) };
  const basis = orthonormalBasis(P, site.outFeatures, rankOf(site, o), b);
  return { left: basis, right: basis };
}

/** right^T W / s, which puts back what is taken out. */
function restoring(site: LinearSite, o: Options): DerivedStart {
  const { inFeatures, outFeatures } = site;
  return {
    from: (start) =>
      evaluated((b, array) => {
        const { right } = projectionOf(site, array(start("P"), [outFeatures, rankOf(site, o)]), o, b);
        const weight = array(weightElements(site), [outFeatures, inFeatures]);
        return b.mul(b.matmul(b.transpose(right, [1, 0]), weight), 1 / scalingOf(site, o));
      }),
  };
}

export default defineAdapter({
  name: "deft",
  peftType: "DEFT",
  summary: "Replaces the outputs of frozen linear layers along a few trained directions",
  formula: "y = (W - Q U^T W + s Q R) x + b, with Q = P and U = relu(P), or both an orthonormal basis of P",
  paper: "DEFT, decompositional efficient fine-tuning, as PEFT has it; no paper is named there",
  options,
  peftConfig: { bias: "none", fan_in_fan_out: false },
  sites: ["linear"],
  identityAtStart: (o) => o.init_weights && !o.para,
  parameters: (site, o): Record<string, ParameterSpec> => {
    const r = rankOf(site, o);
    const P: ParameterSpec = { key: "deft_P", shape: [site.outFeatures, r], init: normal(0.02) };
    if (o.para) return { P };
    const init = o.init_weights ? restoring(site, o) : normal(0.02 * o.init_scale);
    return { P, R: { key: "deft_R", shape: [r, site.inFeatures], init } };
  },
  build: ({ site, x, y, params, options: o, b, dropout }) => {
    const { left, right } = projectionOf(site, factorOf(params, "P"), o, b);
    const taken = b.matmul(withoutBias(site, y, b), right);
    const put = (): Value => {
      const rows = b.transpose(factorOf(params, "R"), [1, 0]);
      return b.mul(b.matmul(dropout(x, o.deft_dropout), rows), scalingOf(site, o));
    };
    const inner = o.para ? b.neg(taken) : b.sub(put(), taken);
    return b.add(y, b.matmul(inner, b.transpose(left, [1, 0])));
  },
  merge: ({ site, weight, params, options: o, b }) => {
    const { left, right } = projectionOf(site, factorOf(params, "P"), o, b);
    const taken = b.matmul(b.transpose(right, [1, 0]), weight);
    const inner = o.para ? b.neg(taken) : b.sub(b.mul(factorOf(params, "R"), scalingOf(site, o)), taken);
    return { weight: b.add(weight, b.matmul(left, inner)) };
  },
  unmerge: "merging takes a part of each weight away, which is not kept",
});
