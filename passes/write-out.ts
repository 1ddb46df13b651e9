/** Writes out functions that no runtime has in models of the opset at hand, in the form that their gradients share. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { rewriteModel } from "../src/rewrite/driver.ts";
import { writeOutRules } from "../src/rewrite/rules/raise.ts";

/** Version that has RMSNormalization. */
const since = 23;

export default definePass({
  name: "write-out",
  summary: "Write out functions that the opset of the model does not have",
  options: z.strictObject({}),
  statistics: Object.fromEntries(writeOutRules.map(({ name }) => [name, `rewrites by ${name}`])),
  run: (model, { stat }) => {
    if (model.opset >= since) return false;
    const report = rewriteModel(model, writeOutRules);
    for (const [name, count] of report.applied) stat(name, count);
    return report.changed;
  },
});
