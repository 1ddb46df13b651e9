/** BitFit: the biases of the model are trained, and its head where the task has one. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";
import { targetOptions } from "../../src/adapt/targets.ts";

const { modules_to_save } = targetOptions;

export default defineAdapter({
  name: "bitfit",
  peftType: "BITFIT",
  summary: "Trains the biases of the model alone",
  formula: "b is trained, from the values of the file",
  paper:
    "Ben Zaken et al. 2021, BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models, https://arxiv.org/abs/2106.10199",
  options: z.strictObject({ modules_to_save }),
  peftConfig: {},
  sites: [],
  trainsWhole: ({ name }) => name === "bias",
  identityAtStart: () => true,
  parameters: () => ({}),
  build: ({ y }) => y,
  merge: () => ({}),
  unmerge: "merging puts other values in the place of those of the base model, which are not kept",
});
