/** HRA: a chain of Householder reflections of what a frozen layer reads. */
import { z } from "zod";
import { weightShape } from "../../src/adapt/base-weight.ts";
import { defineAdapter } from "../../src/adapt/define.ts";
import { type Initializer, kaimingUniform } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { type MatrixSite, sizesOf } from "./parts/layer-matrix.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(8).describe("number of reflections; an even one starts as the identity"),
    apply_GS: z
      .boolean()
      .default(false)
      .describe("orthogonalise the directions (Gram-Schmidt); equal pairs of a fresh adapter cannot be"),
    init_weights: z
      .boolean()
      .default(true)
      .describe("true: directions in equal pairs, which cancel; false: all random"),
    ...targetOptions,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

/** Kaiming uniform columns, each twice; the last of an odd number has no partner. */
const inPairs: Initializer = ([rows = 0, r = 0], random) => {
  const half = Math.ceil(r / 2);
  const drawn = kaimingUniform()([rows, half], random);
  return Float32Array.from({ length: rows * r }, (_, i) => {
    const row = Math.floor(i / r);
    return drawn[row * half + Math.floor((i % r) / 2)] ?? 0;
  });
};

/** The columns of `u`, each of norm 1: (in, 1). */
function directions(u: Value, { r, apply_GS }: Options, b: OpBuilder): Value[] {
  const unit = (x: Value): Value => b.div(x, b.sqrt(b.reduceSumSquare(x, [0], true)));
  const found: Value[] = [];
  for (let i = 0; i < r; i++) {
    let column = unit(b.slice(u, { starts: [i], ends: [i + 1], axes: [1] }));
    if (apply_GS) {
      for (const known of found) {
        column = b.sub(column, b.mul(known, b.reduceSum(b.mul(column, known), [0], true)));
      }
      column = unit(column);
    }
    found.push(column);
  }
  return found;
}

/** Rows of `x` after the reflections: `x H_1 ... H_r` where `x` has the weight's rows. */
function reflect(x: Value, u: Value, o: Options, b: OpBuilder, reverse: boolean): Value {
  const columns = directions(u, o, b);
  if (reverse) columns.reverse();
  return columns.reduce((rows, column) => {
    const along = b.mul(b.matmul(rows, column), 2);
    return b.sub(rows, b.matmul(along, b.transpose(column, [1, 0])));
  }, x);
}

function reflectedWeight(
  site: MatrixSite,
  weight: Value,
  u: Value,
  o: Options,
  b: OpBuilder,
  reverse = false,
): Value {
  const { outputs } = sizesOf(site);
  return b.reshape(reflect(b.reshape(weight, [outputs, -1]), u, o, b, reverse), weightShape(site));
}

export default defineAdapter({
  name: "hra",
  peftType: "HRA",
  summary: "Reflects the inputs of frozen layers along a few trained directions",
  formula: "y = W H_1 ... H_r x + b, with H_i = I - 2 u_i u_i^T and u_i of norm 1",
  paper:
    "Yuan et al. 2024, Bridging The Gap between Low-rank and Orthogonal Adaptation via Householder Reflection Adaptation, https://arxiv.org/abs/2405.17484",
  options,
  peftConfig: { bias: "none" },
  sites: ["linear", "conv"],
  accepts: (site) => {
    if (site.kind !== "conv") return true;
    if (site.groups > 1) return "its convolution is grouped";
    if (site.kernel.length !== 2 || site.kernel[0] !== site.kernel[1])
      return "its window is not square, which PEFT needs";
    return true;
  },
  identityAtStart: (o) => o.init_weights && !o.apply_GS && o.r % 2 === 0,
  parameters: (site, o) => {
    const { inputs, window } = sizesOf(site);
    return {
      u: {
        key: "hra_u",
        shape: [inputs * window, o.r],
        init: o.init_weights ? inPairs : kaimingUniform(),
      },
    };
  },
  // H_i is symmetric, so that an input meets the reflections in the reverse order.
  build: ({ site, x, weight, base, params: { u }, options: o, b }) =>
    site.kind === "linear"
      ? base(reflect(x, u, o, b, true))
      : base(x, { weight: reflectedWeight(site, weight(), u, o, b) }),
  merge: ({ site, weight, params: { u }, options: o, b }) => ({
    weight: reflectedWeight(site, weight, u, o, b),
  }),
  unmerge: ({ site, weight, params: { u }, options: o, b }) => ({
    weight: reflectedWeight(site, weight, u, o, b, true),
  }),
});
