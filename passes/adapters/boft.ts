/** BOFT: rotations of what a frozen layer reads, each a product of butterfly factors, with a factor for each output. */
import { z } from "zod";
import { weightShape } from "../../src/adapt/base-weight.ts";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, type Initializer, normal } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { withBias, withoutBias } from "./parts/bias.ts";
import { type MatrixSite, sizesOf } from "./parts/layer-matrix.ts";
import { cayley, turnBlocks } from "./parts/rotation.ts";

const options = z
  .strictObject({
    boft_block_size: z.int().min(0).default(4).describe("side of the blocks; 0: from boft_block_num"),
    boft_block_num: z.int().min(0).default(0).describe("number of blocks; 0: from boft_block_size"),
    boft_n_butterfly_factor: z
      .int()
      .min(1)
      .default(1)
      .describe("factors of each rotation; PEFT takes one without its CUDA extension, whatever is asked for"),
    init_weights: z
      .boolean()
      .default(true)
      .describe("true: rotations start as the identity, factors of outputs at 1; false: random"),
    bias: z
      .enum(["none", "all", "boft_only"])
      .default("none")
      .describe("which biases of the base model are trained, too"),
    ...targetOptions,
  })
  .check(checkLayers)
  .check(({ value, issues }) => {
    if ((value.boft_block_size === 0) !== (value.boft_block_num === 0)) return;
    const message = "expected just one of boft_block_size and boft_block_num to be other than 0";
    issues.push({ code: "custom", path: ["boft_block_size"], message, input: value.boft_block_size });
  });

type Options = z.output<typeof options>;

interface Blocks {
  readonly count: number;
  readonly size: number;
}

function blocksOf(site: MatrixSite, { boft_block_num: count, boft_block_size: size }: Options): Blocks {
  const { inputs, window } = sizesOf(site);
  const width = inputs * window;
  return count === 0 ? { count: width / size, size } : { count, size: width / count };
}

/** A reason where the options do not fit the width of the layer. */
function refuse(site: MatrixSite, o: Options): true | string {
  if (site.kind === "conv") {
    if (site.groups > 1) return "its convolution is grouped";
    if (site.kernel.length !== 2 || site.kernel[0] !== site.kernel[1])
      return "its window is not square, which PEFT needs";
  }
  const { inputs, window } = sizesOf(site);
  const { count, size } = blocksOf(site, o);
  if (!Number.isInteger(count) || !Number.isInteger(size))
    return `one output reads ${inputs * window} elements, not a multiple of ${o.boft_block_size || o.boft_block_num}`;
  const factors = o.boft_n_butterfly_factor;
  if (factors > 1 && (size % 2 !== 0 || count % 2 ** (factors - 1) !== 0))
    return `${factors} butterfly factors need blocks of even size, and a multiple of ${2 ** (factors - 1)} of them; it has ${count} of size ${size}`;
  return true;
}

/**
 * Where factor `index` takes its elements from: within stretches of 2^index blocks, halves of blocks at even places come
 * first (Liu et al., section 4).
 */
function butterfly({ count, size }: Blocks, index: number): number[] {
  const stretch = size * 2 ** index;
  const half = size / 2;
  const pieces = stretch / half;
  const order = Array.from({ length: pieces }, (_, i) => (i < pieces / 2 ? 2 * i : 2 * i + 1 - pieces));
  return Array.from({ length: count * size }, (_, i) => {
    const within = i % stretch;
    const piece = order[Math.floor(within / half)] ?? 0;
    return i - within + piece * half + (within % half);
  });
}

/** Rows of `x` times the rotation, or times its transpose, as a weight's rows are. */
function rotate(x: Value, site: MatrixSite, R: Value, o: Options, b: OpBuilder, transposed: boolean): Value {
  const blocks = blocksOf(site, o);
  const { count, size } = blocks;
  const factors = o.boft_n_butterfly_factor;
  const all = b.reshape(R, [factors * count, size, size]);
  const skew = b.mul(b.sub(all, b.transposeLast(all)), 0.5);
  const turns = cayley(skew, factors * count, size, b);
  const matrices = transposed ? b.transposeLast(turns) : turns;
  let rows = x;
  for (let step = 0; step < factors; step++) {
    // The rotation is B_m ... B_1, and rows meet its first factor first.
    const index = transposed ? step : factors - 1 - step;
    const bounds = { starts: [index * count], ends: [(index + 1) * count], axes: [0] };
    const own = factors === 1 ? matrices : b.slice(matrices, bounds);
    if (factors === 1 || index === 0) {
      rows = turnBlocks(rows, own, count, size, b);
      continue;
    }
    const from = butterfly(blocks, index);
    const to = Array.from(from, (_, i) => from.indexOf(i));
    const turned = turnBlocks(b.gather(rows, b.ints(to), -1), own, count, size, b);
    rows = b.gather(turned, b.ints(from), -1);
  }
  return rows;
}

function mergedWeight(
  site: MatrixSite,
  weight: Value,
  { R, s }: Readonly<Record<"R" | "s", Value>>,
  o: Options,
  b: OpBuilder,
): Value {
  const { outputs, inputs, window } = sizesOf(site);
  const rows = b.reshape(weight, [outputs, inputs * window]);
  const turned = rotate(rows, site, R, o, b, true);
  return b.reshape(b.mul(turned, b.reshape(s, [outputs, 1])), weightShape(site));
}

const around =
  (center: number): Initializer =>
  (shape, random) =>
    normal(0.1)(shape, random).map((value) => value + center);

export default defineAdapter({
  name: "boft",
  peftType: "BOFT",
  summary: "Rotates the inputs of frozen layers by butterfly factors and scales their outputs",
  formula:
    "y = diag(s) W (B_m ... B_1)^T x + b, with B_i = P_i diag(R_i1, R_i2, ...) P_i^T and R = (I - Q) (I + Q)^-1, Q skew",
  paper:
    "Liu et al. 2023, Parameter-Efficient Orthogonal Finetuning via Butterfly Factorization, https://arxiv.org/abs/2311.06243",
  options,
  peftConfig: { boft_dropout: 0, fan_in_fan_out: false },
  sites: ["linear", "conv"],
  accepts: refuse,
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o) => {
    const { count, size } = blocksOf(site, o);
    const { outputs } = sizesOf(site);
    const factors = o.boft_n_butterfly_factor;
    return {
      R: {
        key: "boft_R",
        shape: [factors, count, size, size],
        init: o.init_weights ? filled(0) : normal(0.1),
      },
      s: {
        key: "boft_s",
        shape: site.kind === "conv" ? [1, outputs] : [outputs, 1],
        init: o.init_weights ? filled(1) : around(1),
      },
    };
  },
  build: ({ site, x, weight, base, params, options: o, b }) => {
    if (site.kind === "conv") return base(x, { weight: mergedWeight(site, weight(), params, o, b) });
    const product = withoutBias(site, base(rotate(x, site, params.R, o, b, false)), b);
    return withBias(site, b.mul(product, b.reshape(params.s, [-1])), b);
  },
  merge: ({ site, weight, params, options: o, b }) => ({
    weight: mergedWeight(site, weight, params, o, b),
  }),
  unmerge: ({ site, weight, params: { R, s }, options: o, b }) => {
    const { outputs, inputs, window } = sizesOf(site);
    const rows = b.div(b.reshape(weight, [outputs, inputs * window]), b.reshape(s, [outputs, 1]));
    return { weight: b.reshape(rotate(rows, site, R, o, b, false), weightShape(site)) };
  },
});
