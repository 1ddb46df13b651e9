/** Full fine-tuning: every weight and bias of the model is trained, as a baseline for methods that train less. */
import { z } from "zod";
import { defineAdapter } from "../../src/adapt/define.ts";

/** Buffers of PyTorch modules that files hold under names like those of parameters: frequencies of rotations, statistics of norms. */
const buffers: ReadonlySet<string> = new Set([
  "inv_freq",
  "original_inv_freq",
  "running_mean",
  "running_var",
]);

export default defineAdapter({
  name: "full",
  peftType: "FULL",
  summary: "Trains every weight and bias of the model",
  formula: "W and b themselves are trained, from the values of the file",
  paper: "a baseline, without a paper",
  options: z.strictObject({}),
  peftConfig: {},
  sites: [],
  trainsWhole: ({ name }) => !buffers.has(name),
  identityAtStart: () => true,
  parameters: () => ({}),
  build: ({ y }) => y,
  merge: () => ({}),
  unmerge: "merging puts other values in the place of those of the base model, which are not kept",
});
