/** Packs parameters and gradients into flat vectors. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { flattenParameters } from "../src/training/flatten.ts";

export default definePass({
  name: "flatten",
  summary: "Pack parameters and gradients into one flat vector each",
  options: z.strictObject({}),
  statistics: { tensors: "parameters packed" },
  run: (model, { stat }) => {
    const slices = flattenParameters(model.graph, model.opset);
    stat("tensors", slices.length);
    return slices.length > 0;
  },
});
