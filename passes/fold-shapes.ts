/** Shrinks shape arithmetic that exporters leave behind to what depends on run-time sizes. */
import { z } from "zod";
import { baseOpset } from "../src/ops/versions.ts";
import { definePass } from "../src/pass/define.ts";
import { foldShapes } from "../src/rewrite/shapes/fold.ts";

export default definePass({
  name: "fold-shapes",
  summary: "Replace shape arithmetic by constants, or by the fewest nodes that compute the same",
  options: z.strictObject({}),
  statistics: {
    constant: "operands that became constant",
    cheaper: "operands that are computed by fewer nodes",
  },
  run: (model, { stat, remark }) => {
    if (model.opset < baseOpset) {
      remark(`opset ${model.opset} is older than ${baseOpset}: run upgrade-opset first`);
      return false;
    }
    const counts = { constant: 0, cheaper: 0 };
    foldShapes(model.graph, model.opset, counts);
    stat("constant", counts.constant);
    stat("cheaper", counts.cheaper);
    return counts.constant + counts.cheaper > 0;
  },
});
