/**
 * Arrow routing of LoRA experts (arXiv:2405.11157): each token takes those whose updates answer most to its direction. With
 * GenKnowSub (arXiv:2505.10939) the mean of general adapters is taken off each expert's factors before.
 */
import { z } from "zod";
import type { Expert, Routing } from "../../../src/adapt/routing.ts";
import { InternalError } from "../../../src/diagnostics/define.ts";
import { float32Tensor } from "../../../src/ir/constant.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import type { Params } from "../parts/factors.ts";
import { updateOf } from "./factors.ts";
import type { Options } from "./options.ts";
import { hasTakenStart } from "./starts.ts";
import { variantOf } from "./variants.ts";

const options = z.strictObject({
  top_k: z.int().min(1).default(3).describe("experts of each token"),
  router_temperature: z.number().positive().default(1).describe("divides the scores before the softmax"),
});

export const arrow: Routing<typeof options, Options> = {
  options,
  accepts: (site, experts, { top_k: k }) => {
    if (site.kind !== "linear")
      return `"${site.path}" is of kind ${site.kind}, and routing is of linear modules`;
    const chosen = experts.filter(({ general }) => !general).length;
    if (k > chosen) return `top_k is ${k}, and there are ${chosen} experts`;
    const ranks = new Set(experts.map(({ options: o }) => o.r));
    if (ranks.size > 1)
      return `their ranks at "${site.path}" are ${[...ranks].join(", ")}, and have to be one`;
    for (const { options: o } of experts) {
      const variant = variantOf(site, o)?.option ?? (o.lora_bias ? "lora_bias" : undefined);
      if (variant !== undefined) return `with ${variant}, an update is more than a product of two factors`;
      if (hasTakenStart(o)) return "what init_lora_weights took off the weight is not in the folder";
    }
    return true;
  },
  parameters: (site, experts) => {
    if (site.kind !== "linear") return {};
    const [inputs, outputs] = [site.inFeatures, site.outFeatures];
    const chosen = experts.filter(({ general }) => !general);
    const from = (start: (name: string) => Float32Array): Float32Array<ArrayBuffer> => {
      const common = (factor: string): Float32Array[] =>
        experts.filter(({ general }) => general).map((each) => start(each.nameOf(factor)));
      const [commonA, commonB] = [common("A"), common("B")];
      const all = new Float32Array(chosen.length * inputs);
      chosen.forEach(({ nameOf, options: { r } }, i) => {
        const A = withoutMean(start(nameOf("A")), commonA);
        const B = withoutMean(start(nameOf("B")), commonB);
        all.set(rightSingular(A, B, { r, inputs, outputs }), i * inputs);
      });
      return all;
    };
    const shape = [chosen.length, inputs];
    return { prototypes: { key: "prototypes", shape, init: { from }, trainable: false, saved: false } };
  },
  build: ({ site, x, y, b, routing, experts, params }) => {
    const { prototypes } = params;
    if (site.kind !== "linear" || prototypes === undefined)
      throw new InternalError(`"${site.path}" has no prototypes`);
    const scores = b.abs(b.matmul(x, b.castLike(b.transpose(prototypes, [1, 0]), x)));
    const share = shares(b, scores, routing.top_k, routing.router_temperature);
    const common = experts.filter(({ general }) => general).map((each) => factorsOf(each, params));
    return experts
      .filter(({ general }) => !general)
      .reduce((sum, expert, i) => {
        const own = subtractMean(b, factorsOf(expert, params), common);
        const part = b.slice(share, { starts: [i], ends: [i + 1], axes: [-1] });
        return b.add(sum, b.mul(updateOf(site, x, own, expert.options, b), part));
      }, y);
  },
};

/** Softmax over the largest k of the last axis, 0 elsewhere. */
function shares(b: OpBuilder, scores: Value, k: number, temperature: number): Value {
  const [values, places] = b.ops("TopK", [scores, b.ints([k])], { axis: -1 }, 2);
  if (values === undefined || places === undefined) throw new InternalError("TopK has two results");
  const none = b.castLike(b.constant(float32Tensor([Number.NEGATIVE_INFINITY], [1]), "none"), scores);
  const open = b.expand(none, b.op("Shape", [scores]));
  const kept = b.op("ScatterElements", [open, places, values], { axis: -1 });
  return b.op("Softmax", [b.div(kept, temperature)], { axis: -1 });
}

interface Factors {
  readonly A: Value;
  readonly B: Value;
}

function factorsOf({ nameOf }: Expert<Options>, params: Params): Factors {
  const { [nameOf("A")]: A, [nameOf("B")]: B } = params;
  if (A === undefined || B === undefined) throw new InternalError("an expert lacks a factor");
  return { A, B };
}

function subtractMean(b: OpBuilder, own: Factors, common: readonly Factors[]): Params {
  const [first, ...rest] = common;
  if (first === undefined) return { ...own };
  const mean = (factor: keyof Factors): Value =>
    b.div(
      rest.reduce((sum, each) => b.add(sum, each[factor]), first[factor]),
      common.length,
    );
  return { A: b.sub(own.A, mean("A")), B: b.sub(own.B, mean("B")) };
}

function withoutMean(own: Float32Array, common: readonly Float32Array[]): Float64Array {
  const mean = (i: number): number => common.reduce((sum, each) => sum + (each[i] ?? 0), 0) / common.length;
  return Float64Array.from(own, (value, i) => (common.length === 0 ? value : value - mean(i)));
}

/**
 * The right singular vector of BA with the largest singular value, of length 1, or zeros where BA is 0: A^T u of the u that
 * B^T B A A^T, (r, r), stretches most. Squaring that matrix over and over leaves this direction alone.
 */
function rightSingular(
  A: Float64Array,
  B: Float64Array,
  { r, inputs, outputs }: { readonly r: number; readonly inputs: number; readonly outputs: number },
): Float64Array {
  const squares = (count: number, at: (i: number, k: number) => number): Float64Array =>
    matrix(r, (i, j) => sumOf(count, (k) => at(i, k) * at(j, k)));
  const ofA = squares(inputs, (i, k) => A[i * inputs + k] ?? 0);
  const ofB = squares(outputs, (i, k) => B[k * r + i] ?? 0);
  let power = normalized(product(r, ofB, ofA));
  for (let round = 0; round < 30; round++) power = normalized(product(r, power, power));
  const size = (j: number): number => sumOf(r, (i) => (power[i * r + j] ?? 0) ** 2);
  const largest = Array.from({ length: r }, (_, j) => j).reduce(
    (best, j) => (size(j) > size(best) ? j : best),
    0,
  );
  return normalized(
    Float64Array.from({ length: inputs }, (_, k) =>
      sumOf(r, (i) => (A[i * inputs + k] ?? 0) * (power[i * r + largest] ?? 0)),
    ),
  );
}

function matrix(size: number, at: (i: number, j: number) => number): Float64Array {
  return Float64Array.from({ length: size * size }, (_, n) => at(Math.floor(n / size), n % size));
}

function product(size: number, left: Float64Array, right: Float64Array): Float64Array {
  return matrix(size, (i, j) => sumOf(size, (k) => (left[i * size + k] ?? 0) * (right[k * size + j] ?? 0)));
}

function sumOf(count: number, term: (k: number) => number): number {
  let sum = 0;
  for (let k = 0; k < count; k++) sum += term(k);
  return sum;
}

function normalized(values: Float64Array): Float64Array {
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? values : values.map((value) => value / length);
}
