/** C3A: an update whose blocks are circulant matrices, each given by one trained vector. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, normal, uniform } from "../../src/adapt/initializers.ts";
import { byPattern, checkLayers, matchPattern, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";

const { target_modules, layers_to_transform, layers_pattern, modules_to_save } = targetOptions;

const options = z
  .strictObject({
    block_size: z.int().min(1).default(256).describe("side of the blocks; it divides inputs and outputs"),
    block_size_pattern: byPattern(z.int().min(1))
      .default({})
      .describe("block_size by regular expression over the end of a path"),
    init_weights: z
      .union([z.boolean(), z.enum(["gaussian", "kaiming_uniform", "xavier_uniform"])])
      .default("xavier_uniform")
      .describe(
        "true: vectors start at 0; all others are random and change the output, and false is xavier_uniform",
      ),
    target_modules,
    layers_to_transform,
    layers_pattern,
    modules_to_save,
  })
  .check(checkLayers);

/** (out, in): element (t, j) of a block is element (j - t) mod size of its vector. */
function deltaOf({ inFeatures, outFeatures }: LinearSite, kernel: Value, size: number, b: OpBuilder): Value {
  const places = Array.from({ length: size * size }, (_, i) => {
    const [row, column] = [Math.floor(i / size), i % size];
    return (column - row + size) % size;
  });
  const blocks = b.gather(kernel, b.reshape(b.ints(places), [size, size]), 2);
  const delta = b.reshape(b.transpose(blocks, [0, 2, 1, 3]), [outFeatures, inFeatures]);
  return b.mul(delta, 1 / inFeatures);
}

export default defineAdapter({
  name: "c3a",
  peftType: "C3A",
  summary: "Adds an update of circulant blocks to frozen linear weights",
  formula:
    "y = W x + b + C x / in, with C made of circulant blocks, C_mn[t, j] = k_mn[(j - t) mod block_size]",
  paper:
    "Chen et al. 2024, Parameter-Efficient Fine-Tuning via Circular Convolution, https://arxiv.org/abs/2407.19342",
  options,
  peftConfig: { bias: "none" },
  sites: ["linear"],
  accepts: ({ inFeatures, outFeatures }, { block_size: size }) =>
    inFeatures % size === 0 && outFeatures % size === 0
      ? true
      : `its ${inFeatures} inputs and ${outFeatures} outputs are not multiples of block_size ${size}`,
  optionsFor: (o, path) => ({ ...o, block_size: matchPattern(o.block_size_pattern, path) ?? o.block_size }),
  identityAtStart: (o) => o.init_weights === true,
  parameters: ({ inFeatures, outFeatures }, { block_size: size, init_weights: start }) => {
    const inits = {
      gaussian: normal(1),
      kaiming_uniform: uniform(1 / Math.sqrt(inFeatures)),
      xavier_uniform: uniform(Math.sqrt(6 / (inFeatures + outFeatures))),
    };
    const init = start === true ? filled(0) : inits[start === false ? "xavier_uniform" : start];
    return { kernel: { key: "c3a_kernel", shape: [outFeatures / size, inFeatures / size, size], init } };
  },
  build: ({ site, x, y, params: { kernel }, options: o, b }) =>
    b.add(y, b.matmul(x, b.transpose(deltaOf(site, kernel, o.block_size, b), [1, 0]))),
  merge: ({ site, weight, params: { kernel }, options: o, b }) => ({
    weight: b.add(weight, deltaOf(site, kernel, o.block_size, b)),
  }),
});
