/** Brings a graph to forms that the CUDA provider takes whole. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { legalizeCuda } from "../src/providers/legalize-cuda.ts";

export default definePass({
  name: "legalize-cuda",
  summary: "Leave nothing to the CPU but arithmetic on sizes, or name the node that would be",
  options: z.strictObject({}),
  statistics: { counted: "sizes counted on the device instead of copied there" },
  run: (model, { stat }) => {
    const { counted } = legalizeCuda(model.graph, model.opset);
    stat("counted", counted);
    return counted > 0;
  },
});
