/** Random projections that are frozen and shared by all modules, as VeRA and PVeRA have them. */
import { z } from "zod";
import type { ParameterSpec } from "../../../src/adapt/define.ts";
import type { Initializer } from "../../../src/adapt/initializers.ts";
import { drawUniform, TorchGenerator } from "../../../src/adapt/torch-random.ts";
import type { LinearSite } from "../../../src/analysis/sites.ts";
import { countElements } from "../../../src/ir/shape.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";

/** Options of the projections, under PEFT's names. */
export const projectionOptions = {
  projection_prng_key: z
    .int()
    .nonnegative()
    .default(0)
    .describe("seed of the shared projections, drawn as PyTorch draws them"),
  save_projection: z
    .boolean()
    .default(true)
    .describe("write the projections into checkpoints; false: they are drawn anew from the seed"),
};

interface Projections {
  /** What stands before `_A` and `_B` in their keys. */
  readonly prefix: string;
  /** Rows of A, and columns of B. */
  readonly down: number;
  readonly up: number;
}

/** A (down, widest input) and B (longest output, up). */
export function projectionSpecs(
  sites: readonly LinearSite[],
  { prefix, down, up }: Projections,
  o: { readonly projection_prng_key: number; readonly save_projection: boolean },
): Record<"A" | "B", ParameterSpec> {
  const width = Math.max(...sites.map((site) => site.inFeatures));
  const height = Math.max(...sites.map((site) => site.outFeatures));
  const common = { trainable: false, saved: o.save_projection };
  const seed = o.projection_prng_key;
  return {
    A: { ...common, key: `${prefix}_A`, shape: [down, width], init: drawn(seed, 0, width) },
    B: { ...common, key: `${prefix}_B`, shape: [height, up], init: drawn(seed, down * width, up) },
  };
}

/** Kaiming uniform with the gain of a ReLU: PEFT draws A, then B, from one generator. */
function drawn(seed: number, before: number, fan: number): Initializer {
  return (shape) => {
    const generator = new TorchGenerator(seed);
    for (let i = 0; i < before; i++) generator.next();
    return drawUniform(generator, countElements(shape), Math.sqrt(3) * (Math.SQRT2 / Math.sqrt(fan)));
  };
}

/** The leading columns of A and rows of B that one module uses: (down, in) and (out, up). */
export function ownProjections(
  { inFeatures, outFeatures }: LinearSite,
  { A, B }: Readonly<Record<"A" | "B", Value>>,
  b: OpBuilder,
): { readonly down: Value; readonly up: Value } {
  return {
    down: b.slice(A, { starts: [0], ends: [inFeatures], axes: [1] }),
    up: b.slice(B, { starts: [0], ends: [outFeatures], axes: [0] }),
  };
}
