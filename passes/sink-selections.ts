/** Computes only the rows that are read: a classifier's token, or the last position of a sequence. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { sinkSelections } from "../src/rewrite/sink-selections.ts";

export default definePass({
  name: "sink-selections",
  summary: "Compute only the positions that are read, such as the one token that a classifier looks at",
  options: z.strictObject({}),
  statistics: { sunk: "nodes that compute a part of what they did" },
  run: (model, { stat }) => {
    const sunk = sinkSelections(model.graph, model.opset);
    stat("sunk", sunk);
    return sunk > 0;
  },
});
