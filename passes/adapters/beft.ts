/** BEFT: a trainable bias on frozen linear layers. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { filled, normal } from "../../src/adapt/initializers.ts";
import { targetOptions } from "../../src/adapt/targets.ts";

const { target_modules, modules_to_save } = targetOptions;

const options = z.strictObject({
  init_weights: z.boolean().default(true).describe("true: biases start at 0; false: normal"),
  target_modules,
  modules_to_save,
});

export default defineAdapter({
  name: "beft",
  peftType: "BEFT",
  summary: "Adds a trainable bias to the outputs of frozen linear layers",
  formula: "y = W x + b + c",
  paper:
    "Huang et al. 2025, BEFT: Bias-Efficient Fine-Tuning of Language Models, https://arxiv.org/abs/2509.15974",
  options,
  peftConfig: {},
  sites: ["linear"],
  identityAtStart: (o) => o.init_weights,
  parameters: (site, o) => ({
    bias: {
      key: "beft_bias",
      shape: [1, site.outFeatures],
      init: o.init_weights ? filled(0) : normal(1),
    },
  }),
  build: ({ y, params: { bias }, b }) => b.add(y, b.reshape(bias, [-1])),
  merge: ({ bias, params, b }) =>
    bias === undefined
      ? "it has no bias that the trained one could be added to"
      : { bias: b.add(bias, b.reshape(params.bias, [-1])) },
});
