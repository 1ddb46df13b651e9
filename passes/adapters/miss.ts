/** MiSS: one small trained block shared by all shards of a frozen linear weight. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, kaimingUniform } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { rankOf } from "../../src/ops/facts.ts";
import { identity, inverseOf } from "./parts/inverse.ts";

const options = z
  .strictObject({
    r: z.int().min(1).default(64).describe("inputs per shard: the rank of the update"),
    miss_dropout: z
      .number()
      .min(0)
      .lt(1)
      .default(0)
      .describe("probability of dropping an input element of the update; without effect on bat"),
    mini_r: z.int().min(1).default(1).describe("columns of the block of mini, repeated over all outputs"),
    init_weights: z
      .union([z.boolean(), z.enum(["bat", "mini"])])
      .default(true)
      .describe(
        "true: the block starts at 0; bat: blocks that multiply those of the weight; mini: one narrow block; false: Kaiming uniform",
      ),
    ...targetOptions,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

/** The block as (r, out). */
function wideBlock({ outFeatures }: LinearSite, block: Value, o: Options, b: OpBuilder): Value {
  if (o.init_weights !== "mini") return block;
  return b.concat(
    Array.from({ length: outFeatures / o.mini_r }, () => block),
    1,
  );
}

/** What is added to the weight: (out, in). */
function deltaOf(site: LinearSite, weight: Value, block: Value, o: Options, b: OpBuilder): Value {
  const { inFeatures, outFeatures } = site;
  const { r } = o;
  if (o.init_weights === "bat") {
    // Blocks of r x r by rows of blocks: (in / r, out / r, r, r).
    const blocks = b.transpose(b.reshape(weight, [outFeatures / r, r, inFeatures / r, r]), [2, 0, 1, 3]);
    const delta = b.add(b.matmul(blocks, block), block);
    return b.reshape(b.transpose(delta, [1, 2, 0, 3]), [outFeatures, inFeatures]);
  }
  const rows = b.transpose(wideBlock(site, block, o, b), [1, 0]);
  const repeated = b.concat(
    Array.from({ length: Math.ceil(inFeatures / r) }, () => rows),
    1,
  );
  return inFeatures % r === 0 ? repeated : b.slice(repeated, { starts: [0], ends: [inFeatures], axes: [1] });
}

/** W of W' = W (I + D) + D, by blocks of r x r. */
function unmergedBlocks(site: LinearSite, weight: Value, block: Value, { r }: Options, b: OpBuilder): Value {
  const { inFeatures, outFeatures } = site;
  const blocks = b.transpose(b.reshape(weight, [outFeatures / r, r, inFeatures / r, r]), [2, 0, 1, 3]);
  const inverse = inverseOf(b.add(block, identity(r, b)), outFeatures / r, r, b);
  const own = b.matmul(b.sub(blocks, block), inverse);
  return b.reshape(b.transpose(own, [1, 2, 0, 3]), [outFeatures, inFeatures]);
}

export default defineAdapter({
  name: "miss",
  peftType: "MISS",
  summary: "Adds one small trained block to every shard of a frozen linear weight",
  formula: "y = W x + b + D^T sum of the shards of x, each r long; bat: W + W D + D by blocks of r x r",
  paper:
    "Kang and Yin 2024, MiSS: Revisiting the Trade-off in LoRA with an Efficient Shard-Sharing Structure, https://arxiv.org/abs/2409.15371",
  options,
  peftConfig: { bias: "none" },
  sites: ["linear"],
  accepts: (site, o) => {
    if (o.init_weights === "mini" && site.outFeatures % o.mini_r !== 0)
      return `its ${site.outFeatures} outputs are not a multiple of mini_r ${o.mini_r}`;
    if (o.init_weights === "bat" && (site.inFeatures % o.r !== 0 || site.outFeatures % o.r !== 0))
      return `its ${site.inFeatures} inputs and ${site.outFeatures} outputs are not multiples of r ${o.r}`;
    return true;
  },
  identityAtStart: (o) => o.init_weights !== false,
  parameters: (site, o) => {
    const { outFeatures } = site;
    const { r, mini_r, init_weights: init } = o;
    const shape = init === "bat" ? [outFeatures / r, r, r] : init === "mini" ? [r, mini_r] : [r, outFeatures];
    return { block: { key: "miss_block", shape, init: init === false ? kaimingUniform() : filled(0) } };
  },
  build: ({ site, x, y, weight, base, params: { block }, options: o, b, dropout }) => {
    if (o.init_weights === "bat") {
      const frozen = weight();
      return base(x, { weight: b.add(frozen, deltaOf(site, frozen, block, o, b)) });
    }
    const { r } = o;
    const { inFeatures } = site;
    const dropped = dropout(x, o.miss_dropout);
    // Whole shards are summed at once; the rest meets the first rows of the block only.
    const whole = Math.floor(inFeatures / r) * r;
    const rank = rankOf(dropped);
    const wide = wideBlock(site, block, o, b);
    const terms: Value[] = [];
    if (whole > 0) {
      const head =
        whole === inFeatures ? dropped : b.slice(dropped, { starts: [0], ends: [whole], axes: [rank - 1] });
      const leading = Array.from({ length: rank - 1 }, () => 0);
      const split = b.reshape(head, [...leading, whole / r, r]);
      terms.push(b.matmul(b.reduceSum(split, [rank - 1], false), wide));
    }
    if (whole < inFeatures) {
      const rest = b.slice(dropped, { starts: [whole], ends: [inFeatures], axes: [rank - 1] });
      const rows = b.slice(wide, { starts: [0], ends: [inFeatures - whole], axes: [0] });
      terms.push(b.matmul(rest, rows));
    }
    return terms.reduce((sum, term) => b.add(sum, term), y);
  },
  merge: ({ site, weight, params: { block }, options: o, b }) => ({
    weight: b.add(weight, deltaOf(site, weight, block, o, b)),
  }),
  unmerge: ({ site, weight, params: { block }, options: o, b }) => ({
    weight:
      o.init_weights === "bat"
        ? unmergedBlocks(site, weight, block, o, b)
        : b.sub(weight, deltaOf(site, weight, block, o, b)),
  }),
});
