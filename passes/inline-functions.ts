/** Replaces calls of model-local functions by what they do. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { inlineFunctions } from "../src/rewrite/inline.ts";

export default definePass({
  name: "inline-functions",
  summary: "Replace calls of model-local functions by their bodies",
  options: z.strictObject({}),
  statistics: { calls: "calls replaced", functions: "functions dropped" },
  run: (model, { stat }) => {
    const functions = model.functions.size;
    if (functions === 0) return false;
    stat("calls", inlineFunctions(model));
    stat("functions", functions);
    return true;
  },
});
