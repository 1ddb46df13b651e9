/** Lets products compute in 16 bits, by each operator's precision class. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { autocastGraph } from "../src/training/autocast.ts";

export default definePass({
  name: "autocast",
  summary: "Compute products in 16 bits; parameters, reductions and loss stay float32",
  options: z.strictObject({ dtype: z.enum(["float16", "bfloat16"]).describe("the 16-bit type") }),
  statistics: { lowered: "operators that now run in 16 bits", casts: "casts inserted" },
  run: (model, { options, stat }) => {
    const { lowered, casts } = autocastGraph(model.graph, options.dtype, model.opset);
    stat("lowered", lowered);
    stat("casts", casts);
    return lowered + casts > 0;
  },
});
