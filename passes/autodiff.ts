/** Appends the backward graph: the gradient of the loss by every parameter. */
import { z } from "zod";
import { inPhase } from "../src/ir/phase.ts";
import { definePass } from "../src/pass/define.ts";
import { addBackward } from "../src/training/backward.ts";
import { scalingFrom, scalingOptions } from "../src/training/scaling.ts";

export default definePass({
  name: "autodiff",
  summary: "Append the gradient of the loss by every parameter",
  options: z.strictObject(scalingOptions),
  statistics: { nodes: "nodes of the backward graph" },
  run: (model, { options, stat }) => {
    const before = model.graph.size;
    inPhase(model.graph, "backward", () => addBackward(model.graph, model.opset, scalingFrom(options)));
    stat("nodes", model.graph.size - before);
    return true;
  },
});
