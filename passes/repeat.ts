/** Makes several optimizer steps one run of the graph. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { repeatSteps } from "../src/training/repeat.ts";

export default definePass({
  name: "repeat",
  summary: "Run several optimizer steps as one Loop",
  options: z.strictObject({ steps: z.int().min(2).describe("steps of one run") }),
  statistics: { steps: "steps of one run" },
  run: (model, { options, stat }) => {
    const repeated = repeatSteps(model.graph, options.steps, model.opset);
    model.graph.replaceBy(repeated);
    stat("steps", options.steps);
    return true;
  },
});
