/** FourierFT: an update whose discrete Fourier transform has a few trained coefficients at random places. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, normal } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { placeOptions, placesOf, refuseTooMany, withFrequencyOf } from "./parts/spectrum.ts";

const options = z
  .strictObject({
    n_frequency: z.int().min(1).default(1000).describe("trained coefficients per module"),
    scaling: z.number().default(150).describe("factor of the update"),
    ...placeOptions,
    init_weights: z
      .boolean()
      .default(false)
      .describe("true: coefficients start at 0; false: normal, so that a fresh adapter changes the output"),
    ...targetOptions,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

/**
 * Re(IFFT2(F)) times scaling, (out, in), with F zero but for the coefficients c at (p, q):
 * sum of c cos(2 pi (p i / out + q j / in)) / (out in), as two products of cosines and sines.
 */
function deltaOf(site: LinearSite, spectrum: Value, o: Options, b: OpBuilder): Value {
  const { inFeatures, outFeatures } = site;
  const places = placesOf(site, o);
  const rows = places.map(([row]) => row);
  const columns = places.map(([, column]) => column);
  const left = anglesOf(outFeatures, rows, b);
  const right = anglesOf(inFeatures, columns, b);
  const scaled = b.mul(spectrum, o.scaling / (outFeatures * inFeatures));
  const term = (kind: "Cos" | "Sin"): Value =>
    b.matmul(b.mul(b.op(kind, [left]), scaled), b.transpose(b.op(kind, [right]), [1, 0]));
  return b.sub(term("Cos"), term("Sin"));
}

/** 2 pi (i f mod size) / size for all i below `size`, by frequency f: (size, frequencies). */
function anglesOf(size: number, frequencies: readonly number[], b: OpBuilder): Value {
  const steps = b.reshape(b.ints(Array.from({ length: size }, (_, i) => i)), [size, 1]);
  const turns = b.mod(b.mul(steps, b.ints(frequencies)), b.int(size));
  return b.mul(b.cast(turns, "float32"), (2 * Math.PI) / size);
}

export default defineAdapter({
  name: "fourierft",
  peftType: "FOURIERFT",
  summary: "Adds an update with a sparse trained spectrum to frozen linear weights",
  formula: "y = (W + scaling Re(IFFT2(F))) x + b, with F zero but for n_frequency trained entries",
  paper:
    "Gao et al. 2024, Parameter-Efficient Fine-Tuning with Discrete Fourier Transform, https://arxiv.org/abs/2405.03003",
  options,
  peftConfig: { bias: "none", fan_in_fan_out: false },
  sites: ["linear"],
  accepts: refuseTooMany,
  optionsFor: withFrequencyOf,
  identityAtStart: (o) => o.init_weights,
  parameters: (_, o) => ({
    spectrum: {
      key: "fourierft_spectrum",
      shape: [o.n_frequency],
      init: o.init_weights ? filled(0) : normal(1),
    },
  }),
  build: ({ site, x, y, params: { spectrum }, options: o, b }) =>
    b.add(y, b.matmul(x, b.transpose(deltaOf(site, spectrum, o, b), [1, 0]))),
  merge: ({ site, weight, params: { spectrum }, options: o, b }) => ({
    weight: b.add(weight, deltaOf(site, spectrum, o, b)),
  }),
});
