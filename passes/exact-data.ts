/** Takes back the leave that a file gives to products with packed weights: to round their data to 8 bits. */
import { z } from "zod";
import { opOf } from "../src/ops/registry.ts";
import { definePass } from "../src/pass/define.ts";

/** The attribute by which an operator may round data; left out, it does not. */
const leave = "accuracy_level";

export default definePass({
  name: "exact-data",
  summary: "Let products with packed weights compute with their data as it is, as the gradient does",
  options: z.strictObject({}),
  statistics: { exact: "products that would have rounded their data" },
  run: (model, { stat, remark }) => {
    let count = 0;
    for (const node of model.graph.allNodes()) {
      if (opOf(node)?.attributes[leave] === undefined || node.int(leave, 0) < 2) continue;
      node.attributes.delete(leave);
      count += 1;
    }
    if (count === 0) return false;
    stat("exact", count);
    remark(
      `${count} products with packed weights compute in float32, though the file would let them round their data (${leave})`,
    );
    return true;
  },
});
