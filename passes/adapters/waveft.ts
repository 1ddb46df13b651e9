/** WaveFT: an update with a few trained wavelet coefficients at random places. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, normal } from "../../src/adapt/initializers.ts";
import { checkLayers, targetOptions } from "../../src/adapt/targets.ts";
import type { LinearSite } from "../../src/analysis/sites.ts";
import { Tensor } from "../../src/ir/tensor.ts";
import type { Value } from "../../src/ir/value.ts";
import type { OpBuilder } from "../../src/ops/builder.ts";
import { placeOptions, placesOf, refuseTooMany, withFrequencyOf } from "./parts/spectrum.ts";

/** Low-pass filters of the inverse transform (Daubechies 1992, table 6.1). */
const lowPass = {
  db1: [Math.SQRT1_2, Math.SQRT1_2],
  db4: [
    0.23037781330885523, 0.7148465705525415, 0.6308807679295904, -0.02798376941698385, -0.18703481171888114,
    0.030841381835986965, 0.032883011666982945, -0.010597401784997278,
  ],
} as const;

const options = z
  .strictObject({
    n_frequency: z.int().min(1).default(2592).describe("trained coefficients per module"),
    scaling: z.number().default(25).describe("factor of the update"),
    wavelet_family: z
      .enum(["db1", "db4"])
      .default("db1")
      .describe("wavelet: Haar, or Daubechies with 8 taps"),
    use_idwt: z
      .boolean()
      .default(true)
      .describe(
        "true: inverse wavelet transform of the coefficients; false: they are elements of the update",
      ),
    ...placeOptions,
    init_weights: z
      .boolean()
      .default(true)
      .describe("true: coefficients start at 0; false: small and random"),
    ...targetOptions,
  })
  .check(checkLayers);

type Options = z.output<typeof options>;

/** The update, (out, in). */
function deltaOf(site: LinearSite, spectrum: Value, o: Options, b: OpBuilder): Value {
  const { outFeatures, inFeatures } = site;
  const places = placesOf(site, o);
  const scaled = b.mul(spectrum, o.scaling);
  if (!o.use_idwt) return scatter(scaled, places, [outFeatures, inFeatures], b);
  // The coefficients stand in the middle of a matrix that is as much larger as the filter is longer than its step.
  const low = lowPass[o.wavelet_family];
  const margin = low.length - 2;
  const rows = (outFeatures + margin) / 2;
  const columns = (inFeatures + margin) / 2;
  const at = places.map(([x, y]) => {
    const row = x + margin / 2;
    const column = y + margin / 2;
    const band = (row < rows ? 0 : 2) + (column < columns ? 0 : 1);
    return [0, band, row % rows, column % columns];
  });
  const bands = scatter(scaled, at, [1, 4, rows, columns], b);
  // A two-dimensional inverse transform of one level is a transposed convolution with stride 2 of the four bands.
  const full = b.op("ConvTranspose", [bands, b.constant(synthesis(low), "wavelet")], {
    strides: [2, 2],
    pads: [margin, margin, margin, margin],
  });
  return b.reshape(full, [outFeatures, inFeatures]);
}

function scatter(
  values: Value,
  places: readonly (readonly number[])[],
  shape: readonly number[],
  b: OpBuilder,
): Value {
  const zeros = b.expand(b.scalar(0, "float32"), b.ints(shape));
  const indices = b.reshape(b.ints(places.flat()), [places.length, shape.length]);
  return b.op("ScatterND", [zeros, indices, values]);
}

/** Products of the filters along rows and columns, for the bands top left, top right, bottom left, bottom right. */
function synthesis(low: readonly number[]): Tensor {
  const high = low.map((_, k) => (k % 2 === 0 ? 1 : -1) * (low[low.length - 1 - k] ?? 0));
  const bands = [
    [low, low],
    [high, low],
    [low, high],
    [high, high],
  ] as const;
  const values = bands.flatMap(([down, across]) =>
    down.flatMap((row) => across.map((column) => row * column)),
  );
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return new Tensor("float32", [4, 1, low.length, low.length], { kind: "inline", bytes });
}

export default defineAdapter({
  name: "waveft",
  peftType: "WAVEFT",
  summary: "Adds an update with a few trained wavelet coefficients to frozen linear weights",
  formula: "y = (W + scaling IDWT2(F)) x + b, with F zero but for n_frequency trained entries",
  paper:
    "Bilican et al. 2025, Exploring Sparsity for Parameter Efficient Fine Tuning Using Wavelets, https://arxiv.org/abs/2505.12532",
  options,
  peftConfig: { bias: "none", fan_in_fan_out: false, proportional_parameters: false },
  sites: ["linear"],
  accepts: (site, o) => {
    const verdict = refuseTooMany(site, o);
    const { inFeatures, outFeatures } = site;
    if (verdict === true && o.use_idwt && (inFeatures % 2 !== 0 || outFeatures % 2 !== 0))
      return `its size ${outFeatures}x${inFeatures} is odd, and wavelets halve it`;
    return verdict;
  },
  optionsFor: withFrequencyOf,
  identityAtStart: (o) => o.init_weights,
  parameters: (_, o) => ({
    spectrum: {
      key: "waveft_spectrum",
      shape: [o.n_frequency],
      init: o.init_weights ? filled(0) : normal(0.01),
    },
  }),
  build: ({ site, x, y, params: { spectrum }, options: o, b }) =>
    b.add(y, b.matmul(x, b.transpose(deltaOf(site, spectrum, o, b), [1, 0]))),
  merge: ({ site, weight, params: { spectrum }, options: o, b }) => ({
    weight: b.add(weight, deltaOf(site, spectrum, o, b)),
  }),
});
