/** Brings models that were written to generate text into the form in which they can be trained. */
import { z } from "zod";
import { expandNode } from "../src/ops/expand-node.ts";
import { inferModel } from "../src/ops/infer.ts";
import { opOf } from "../src/ops/registry.ts";
import { definePass } from "../src/pass/define.ts";
import { dropCaches } from "../src/rewrite/drop-cache.ts";

export default definePass({
  name: "training-form",
  summary: "Drop key/value caches, and write the operators that held them with standard ones",
  options: z.strictObject({}),
  statistics: {
    dropped: "inputs and outputs that carried caches from call to call",
    expanded: "attention operators that were written with standard ones",
  },
  run: (model, { stat, remark }) => {
    const { inputs, outputs, holders } = dropCaches(model);
    if (inputs.length === 0) return false;
    stat("dropped", inputs.length + outputs.length);
    remark(
      `training form: without ${inputs.length} inputs for caches (${inputs[0]}...) and the outputs that fill them`,
    );
    inferModel(model);
    for (const node of holders) {
      const op = opOf(node);
      if (op?.gradient.kind !== "expand" || node.graph === undefined) continue;
      expandNode(node.graph, node, op, model.opset);
      stat("expanded");
    }
    return true;
  },
});
