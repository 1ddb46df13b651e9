/** Emulates 16-bit operators by float32 ones between Casts, for providers without 16-bit kernels. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { emulateLow } from "../src/training/emulate.ts";

export default definePass({
  name: "emulate-low",
  summary: "Replace 16-bit operators by float32 ones between pairs of Casts",
  options: z.strictObject({}),
  statistics: { wrapped: "nodes that now compute in float32" },
  run: (model, { stat }) => {
    const wrapped = emulateLow(model.graph);
    stat("wrapped", wrapped);
    return wrapped > 0;
  },
});
