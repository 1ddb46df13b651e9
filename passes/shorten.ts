/** Makes the passes over large values fewer, once forward and backward stand side by side. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { rewriteModel } from "../src/rewrite/driver.ts";
import { gradientRules } from "../src/rewrite/rules/gradients.ts";
import { productRules } from "../src/rewrite/rules/products.ts";

const rules = [...gradientRules, ...productRules];

export default definePass({
  name: "shorten",
  summary: "Let products scale and add, sum over fewer elements, join pieces at once",
  options: z.strictObject({}),
  statistics: Object.fromEntries(rules.map(({ name }) => [name, `rewrites by ${name}`])),
  run: (model, { stat }) => {
    const report = rewriteModel(model, rules);
    for (const [name, count] of report.applied) stat(name, count);
    return report.changed;
  },
});
