// A fine-tuning method of one's own, in one file outside the package: every feature of a layer is scaled and shifted.
//
//   peft-compile model.onnx --use examples/new-method.mjs --method ssf --target q_proj,v_proj
//
// docs/new-method.md explains the parts.
import { defineAdapter, filled, targetOptions } from "peft-compile/extend";
import { z } from "zod";

export default defineAdapter({
  name: "ssf",
  peftType: "SSF",
  summary: "Scales and shifts the outputs of frozen linear layers",
  formula: "y = (1 + s) * (W x + b) + t",
  paper: "Lian et al. 2022, Scaling & Shifting Your Features, https://arxiv.org/abs/2210.08823",
  options: z.strictObject({
    shift: z.boolean().default(true).describe("learn t as well as s"),
    ...targetOptions,
  }),
  peftConfig: {},
  sites: ["linear"],
  identityAtStart: () => true,
  parameters: ({ outFeatures }, { shift }) => ({
    s: { key: "ssf_scale", shape: [outFeatures], init: filled(0) },
    ...(shift ? { t: { key: "ssf_shift", shape: [outFeatures], init: filled(0) } } : {}),
  }),
  build: ({ y, params: { s, t }, b }) => {
    const scaled = b.add(y, b.mul(y, s));
    return t === undefined ? scaled : b.add(scaled, t);
  },
  merge: ({ weight, bias, params: { s, t }, b }) => {
    if (bias === undefined && t !== undefined)
      return "the layer has no bias that the shift could be added to";
    // A weight is (out, in): each row belongs to one output.
    const rows = b.reshape(s, [-1, 1]);
    const merged = { weight: b.add(weight, b.mul(weight, rows)) };
    if (bias === undefined) return merged;
    const scaled = b.add(bias, b.mul(bias, s));
    return { ...merged, bias: t === undefined ? scaled : b.add(scaled, t) };
  },
});
