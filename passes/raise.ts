/** Recognises functions that exporters spell out, so that each is differentiated by its own rule. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { rewriteModel } from "../src/rewrite/driver.ts";
import { keepStatistics } from "../src/rewrite/keep-statistics.ts";
import { raiseRules } from "../src/rewrite/rules/raise.ts";

export default definePass({
  name: "raise",
  summary:
    "Recognise Gelu, Swish and RMSNormalization where they are spelled out; keep the statistics of LayerNormalization",
  options: z.strictObject({}),
  statistics: {
    ...Object.fromEntries(raiseRules.map(({ name }) => [name, `rewrites by ${name}`])),
    "keep-statistics": "normalizations that give their statistics",
  },
  run: (model, { stat }) => {
    const report = rewriteModel(model, raiseRules);
    for (const [name, count] of report.applied) stat(name, count);
    const kept = keepStatistics(model.graph, model.opset);
    stat("keep-statistics", kept);
    return report.changed || kept > 0;
  },
});
