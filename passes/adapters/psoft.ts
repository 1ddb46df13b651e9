/** PSOFT: a rotation of the largest singular vectors of a frozen weight, with a factor before and behind it. */
import { z } from "zod";
import { weightElements } from "../../src/adapt/base-weight.ts";
import { defineAdapter, type ParameterSpec } from "../../src/adapt/define.ts";
import { filled, type Initializer, normal } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { factorOf, type Params } from "./parts/factors.ts";
import { identity } from "./parts/inverse.ts";
import { KeptByWeight } from "./parts/kept.ts";
import { aboveDiagonal, cayley, cayleySeries, skewOf } from "./parts/rotation.ts";
import type { SingularParts } from "./parts/singular-parts.ts";
import { singularParts } from "./parts/svd.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(32).describe("singular values of the weight that the update acts between"),
    psoft_alpha: z
      .number()
      .refine((value) => value !== 0, "expected a number other than 0")
      .default(32)
      .describe("numerator of the scaling: psoft_alpha / r; not 0"),
    psoft_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of A"),
    ab_svd_init: z
      .enum(["psoft_init", "pissa_init"])
      .default("psoft_init")
      .describe("psoft_init: B takes the singular values; pissa_init: A and B take their roots"),
    psoft_orth: z.boolean().default(true).describe("true: R is a rotation; false: any matrix"),
    psoft_mag_b: z.boolean().default(true).describe("train factors of what R yields"),
    psoft_mag_a: z.boolean().default(true).describe("train factors of what R reads"),
    use_cayley_neumann: z
      .boolean()
      .default(false)
      .describe("a few terms of the Cayley transform's series in place of the transform"),
    num_cayley_neumann_terms: z.int().min(2).default(5).describe("number of these terms"),
    cayley_neumann_eps: z
      .number()
      .positive()
      .nullable()
      .default(null)
      .describe("bound of the norm of Q in the series, to which longer ones are shortened; null: none"),
    init_weights: z.boolean().default(true).describe("true: R starts as the identity; false: random"),
    ...targetOptions,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

/** diag(b) R diag(a): (r, r). */
function middleOf(params: Params, o: Options, b: OpBuilder): Value {
  const rotation = o.psoft_orth ? rotationOf(factorOf(params, "R"), o, b) : factorOf(params, "R");
  const behind = o.psoft_mag_b ? b.mul(rotation, b.unsqueeze(factorOf(params, "b"), [1])) : rotation;
  return o.psoft_mag_a ? b.mul(behind, factorOf(params, "a")) : behind;
}

/** (I - Q)^-1 (I + Q), or the start of its series. */
function rotationOf(vector: Value, o: Options, b: OpBuilder): Value {
  const { r } = o;
  const skew = skewOf(b.reshape(vector, [1, aboveDiagonal(r)]), 1, r, b);
  const turn = o.use_cayley_neumann
    ? cayleySeries(shortened(skew, o, b), r, o.num_cayley_neumann_terms, b)
    : cayley(b.neg(skew), 1, r, b);
  return b.reshape(turn, [r, r]);
}

function shortened(skew: Value, { cayley_neumann_eps: most }: Options, b: OpBuilder): Value {
  if (most === null) return skew;
  const norm = b.sqrt(b.reduceSumSquare(skew, undefined, true));
  const isLong = b.greater(norm, most);
  // Where Q is 0 the other branch would divide by a norm of 0.
  const divisor = b.where(isLong, b.add(norm, 1e-12), 1);
  return b.where(isLong, b.mul(skew, b.div(most, divisor)), skew);
}

/** s B (M - I) A as factors: (r, in) and (out, r). */
function factorsOf(params: Params, o: Options, b: OpBuilder): { down: Value; up: Value } {
  const change = b.mul(b.sub(middleOf(params, o, b), identity(o.r, b)), o.psoft_alpha / o.r);
  return { down: factorOf(params, "A"), up: b.matmul(factorOf(params, "B"), change) };
}

const kept = new KeptByWeight<SingularParts>();

/** A = V and B = U diag(S / s), or both with the roots of S / s. */
function startOf(site: LinearSite, o: Options): { A: Initializer; B: Initializer } {
  const { inFeatures, outFeatures } = site;
  const parts = kept.for(site, String(o.r), () =>
    singularParts(weightElements(site), outFeatures, inFeatures, o.r),
  );
  const scaled = (i: number): number => (parts().values[i] ?? 0) / (o.psoft_alpha / o.r);
  const [before, behind] =
    o.ab_svd_init === "psoft_init"
      ? [() => 1, scaled]
      : [(i: number) => Math.sqrt(scaled(i)), (i: number) => Math.sqrt(scaled(i))];
  return {
    A: () => Float32Array.from(parts().right, (value, i) => value * before(Math.floor(i / inFeatures))),
    B: () => Float32Array.from(parts().left, (value, i) => value * behind(i % o.r)),
  };
}

const aroundIdentity =
  (deviation: number): Initializer =>
  (shape, random) => {
    const [size = 0] = shape;
    const noise = normal(deviation)(shape, random);
    return noise.map((value, i) => value + (i % (size + 1) === 0 ? 1 : 0));
  };

const signs =
  "its factors are singular vectors, whose signs each library of linear algebra chooses in its own way";

export default defineAdapter({
  name: "psoft",
  peftType: "PSOFT",
  summary: "Rotates the largest singular vectors of frozen linear weights among each other",
  formula:
    "y = W x + b + s B (diag(b) R diag(a) - I) A x, with s B A the largest singular parts of W and R = (I - Q)^-1 (I + Q), Q skew",
  paper:
    "Wu et al. 2025, Efficient Orthogonal Fine-Tuning with Principal Subspace Adaptation, https://openreview.net/forum?id=FSHrinMArK",
  options,
  peftConfig: { fan_in_fan_out: false, psoft_svd: "full", psoft_svd_lowrank_niter: 10, random_seed: 0 },
  unportable: () => ({ fromPeft: signs, toPeft: signs }),
  sites: ["linear"],
  accepts: ({ inFeatures, outFeatures }, { r }) =>
    r <= Math.min(inFeatures, outFeatures)
      ? true
      : `rank ${r} is more than its ${Math.min(inFeatures, outFeatures)} singular values`,
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o): Record<string, ParameterSpec> => {
    const { r } = o;
    const { A, B } = startOf(site, o);
    const frozen = { trainable: false, saved: false };
    const square = o.init_weights ? aroundIdentity(0) : aroundIdentity(0.1);
    const skew = o.init_weights ? filled(0) : normal(0.1);
    return {
      R: o.psoft_orth
        ? { key: "psoft_R.weight", shape: [aboveDiagonal(r)], init: skew }
        : { key: "psoft_R.weight", shape: [r, r], init: square },
      ...(o.psoft_mag_b ? { b: { key: "psoft_R.vector_b", shape: [r], init: filled(1) } } : {}),
      ...(o.psoft_mag_a ? { a: { key: "psoft_R.vector_a", shape: [r], init: filled(1) } } : {}),
      A: { key: "_psoft_A_cache", shape: [r, site.inFeatures], init: A, ...frozen },
      B: { key: "_psoft_B_cache", shape: [site.outFeatures, r], init: B, ...frozen },
    };
  },
  build: ({ x, y, params, options: o, b, dropout }) => {
    const { down, up } = factorsOf(params, o, b);
    const inner = b.matmul(dropout(x, o.psoft_dropout), b.transpose(down, [1, 0]));
    return b.add(y, b.matmul(inner, b.transpose(up, [1, 0])));
  },
  merge: ({ weight, params, options: o, b }) => {
    const { down, up } = factorsOf(params, o, b);
    return { weight: b.add(weight, b.matmul(up, down)) };
  },
});
