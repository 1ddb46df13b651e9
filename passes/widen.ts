/** Lets models of 16-bit floats compute in float32. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { widenGraph } from "../src/training/widen.ts";

export default definePass({
  name: "widen",
  summary: "Compute in float32 what a model computes in 16 bits; its weights stay as the file holds them",
  options: z.strictObject({}),
  statistics: { widened: "values that became float32" },
  run: (model, { stat }) => {
    const count = widenGraph(model.graph, model.opset);
    stat("widened", count);
    return count > 0;
  },
});
