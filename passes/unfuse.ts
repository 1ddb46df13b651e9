/** Shows the modules that the runtime's optimizer fused into other nodes. */
import { z } from "zod";
import { baseOpset } from "../src/ops/versions.ts";
import { definePass } from "../src/pass/define.ts";
import { unfuseGraph } from "../src/rewrite/unfuse.ts";

export default definePass({
  name: "unfuse",
  summary: "Take apart fused nodes of com.microsoft that hide the weight or bias of a module",
  options: z.strictObject({}),
  statistics: { unfused: "nodes taken apart" },
  run: ({ graph, opset }, { stat, remark }) => {
    if (opset < baseOpset) {
      remark(`opset ${opset} is older than ${baseOpset}: run upgrade-opset first`);
      return false;
    }
    const count = unfuseGraph(graph, opset);
    stat("unfused", count);
    return count > 0;
  },
});
