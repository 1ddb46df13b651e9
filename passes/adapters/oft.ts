/** OFT: rotations of blocks of what a frozen layer reads. */
import { z } from "zod";
import { weightShape } from "../../src/adapt/base-weight.ts";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, normal } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { LayerSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { detach } from "../../src/ops/detach.ts";
import { dimOf } from "../../src/ops/facts.ts";
import { inverseOf } from "./parts/inverse.ts";
import { sizesOf } from "./parts/layer-matrix.ts";
import { aboveDiagonal, cayley, cayleySeries, skewOf, turnBlocks } from "./parts/rotation.ts";

const options = z
  .strictObject({
    r: z
      .int()
      .min(0)
      .default(0)
      .describe("number of blocks, the nearest divisor where it does not divide; 0: from oft_block_size"),
    oft_block_size: z
      .int()
      .min(0)
      .default(32)
      .describe("side of the blocks, the nearest divisor where it does not divide; 0: from r"),
    module_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("without effect, as in PEFT, which makes the dropout but does not apply it"),
    init_weights: z.boolean().default(true).describe("true: rotations start as the identity; false: random"),
    block_share: z.boolean().default(false).describe("one rotation for all blocks of a module"),
    coft: z
      .boolean()
      .default(false)
      .describe("keep every rotation near the identity: before each use its vector is cut down to a length"),
    eps: z
      .number()
      .positive()
      .default(6e-5)
      .describe(
        "with coft, the Frobenius norm of a skew matrix that is allowed, times the root of their number",
      ),
    use_cayley_neumann: z
      .boolean()
      .default(true)
      .describe("a few terms of the Cayley transform's series, which turns the other way than the exact one"),
    num_cayley_neumann_terms: z.int().min(2).default(5).describe("number of these terms"),
    bias: z
      .enum(["none", "all", "oft_only"])
      .default("none")
      .describe("which biases of the base model are trained, too"),
    ...targetOptions,
  })
  .check(checkLayers)
  .check(({ value, issues }) => {
    if ((value.r === 0) !== (value.oft_block_size === 0)) return;
    const message = "expected just one of r and oft_block_size to be other than 0";
    issues.push({ code: "custom", path: ["r"], message, input: value.r });
  });

type Options = z.output<typeof options>;

interface Blocks {
  readonly count: number;
  readonly size: number;
}

function blocksOf(site: LayerSite, { r, oft_block_size: size }: Options): Blocks {
  const { inputs, window } = site.kind === "embedding" ? { inputs: site.width, window: 1 } : sizesOf(site);
  const width = inputs * window;
  const found = nearestDivisor(width, r === 0 ? size : r);
  return r === 0 ? { count: width / found, size: found } : { count: found, size: width / found };
}

/** The divisor of `width` nearest to `wish`, the lower one of two. */
function nearestDivisor(width: number, wish: number): number {
  if (wish >= width) return width;
  let [low, high] = [wish, wish];
  while (width % low !== 0) low -= 1;
  while (width % high !== 0) high += 1;
  return wish - low <= high - wish ? low : high;
}

/** Vectors cut down to the length that coft allows; its square counts twice in that of the skew matrix. */
function nearIdentity(vectors: Value, { eps }: Options, b: OpBuilder): Value {
  const count = Number(dimOf(vectors, 0));
  const length = b.sqrt(b.mul(b.reduceSumSquare(vectors, [1]), 2));
  return b.mul(vectors, b.min(b.div(b.scalar(eps / Math.sqrt(count), "float32"), length), 1));
}

/** The vectors as they are used. As in PEFT, which cuts them down in place, the gradient is that of what is used. */
function used(vectors: Value, o: Options, b: OpBuilder): Value {
  if (!o.coft) return vectors;
  return b.add(vectors, detach(b, b.sub(nearIdentity(vectors, o, b), vectors)));
}

/** One matrix for each block, or one for all: (count, size, size) or (1, size, size). */
function rotationsOf(site: LayerSite, vectors: Value, o: Options, b: OpBuilder): Value {
  const { count, size } = blocksOf(site, o);
  const own = o.block_share ? 1 : count;
  const skew = skewOf(used(vectors, o, b), own, size, b);
  return o.use_cayley_neumann
    ? cayleySeries(skew, size, o.num_cayley_neumann_terms, b)
    : cayley(skew, own, size, b);
}

/** What undoes them: the series is near a rotation, and no rotation. */
function inversesOf(site: LayerSite, vectors: Value, o: Options, b: OpBuilder): Value {
  const rotations = rotationsOf(site, vectors, o, b);
  const { count, size } = blocksOf(site, o);
  return o.use_cayley_neumann
    ? inverseOf(rotations, o.block_share ? 1 : count, size, b)
    : b.transposeLast(rotations);
}

function turnedWeight(site: LayerSite, weight: Value, rotations: Value, o: Options, b: OpBuilder): Value {
  const { count, size } = blocksOf(site, o);
  // A table's rows are what the module yields; those of all others are what meets its input.
  if (site.kind === "embedding") return turnBlocks(weight, rotations, count, size, b);
  const { outputs } = sizesOf(site);
  const rows = b.reshape(weight, [outputs, count * size]);
  return b.reshape(turnBlocks(rows, b.transposeLast(rotations), count, size, b), weightShape(site));
}

export default defineAdapter({
  name: "oft",
  peftType: "OFT",
  summary: "Rotates blocks of the inputs of frozen layers",
  formula:
    "y = W diag(R_1, ..., R_n)^T x + b, with R_i = I + 2 Q_i + 2 Q_i^2 + ... (or (I - Q_i) (I + Q_i)^-1) and Q_i skew",
  paper:
    "Qiu et al. 2023, Controlling Text-to-Image Diffusion by Orthogonal Finetuning, https://arxiv.org/abs/2306.07280",
  options,
  peftConfig: { fan_in_fan_out: false },
  sites: ["linear", "conv", "embedding"],
  accepts: (site) => {
    if (site.kind !== "conv") return true;
    if (site.groups > 1) return "its convolution is grouped";
    if (site.kernel.length !== 2 || site.kernel[0] !== site.kernel[1])
      return "its window is not square, which PEFT needs";
    return true;
  },
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o) => {
    const { count, size } = blocksOf(site, o);
    return {
      rotation: {
        key: site.kind === "embedding" ? "oft_embedding_R.weight" : "oft_R.weight",
        shape: [o.block_share ? 1 : count, aboveDiagonal(size)],
        init: o.init_weights ? filled(0) : normal(0.1),
      },
    };
  },
  detaches: (o) => (o.coft ? "the cut of vectors" : undefined),
  hook: (o) =>
    o.coft
      ? {
          names: ["rotation"],
          state: {},
          before: ({ b, param, split, join }) => {
            const cut = split(param, ["rotation"]).map(({ rotation }) => ({
              rotation: nearIdentity(rotation, o, b),
            }));
            return join(cut, ["rotation"]);
          },
        }
      : undefined,
  build: ({ site, x, y, weight, base, params: { rotation }, options: o, b }) => {
    // Windows overlap, so that no rotation of the input does what one of the window's weight does.
    if (site.kind === "conv")
      return base(x, { weight: turnedWeight(site, weight(), rotationsOf(site, rotation, o, b), o, b) });
    const { count, size } = blocksOf(site, o);
    const rotations = rotationsOf(site, rotation, o, b);
    return site.kind === "embedding"
      ? turnBlocks(y, rotations, count, size, b)
      : base(turnBlocks(x, rotations, count, size, b));
  },
  merge: ({ site, weight, params: { rotation }, options: o, b }) => ({
    weight: turnedWeight(site, weight, rotationsOf(site, rotation, o, b), o, b),
  }),
  unmerge: ({ site, weight, params: { rotation }, options: o, b }) => ({
    weight: turnedWeight(site, weight, inversesOf(site, rotation, o, b), o, b),
  }),
});
