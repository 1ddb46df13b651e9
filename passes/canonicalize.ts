/** Drops nodes that do nothing and merges those that make one, without changing what is computed. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { rewriteModel } from "../src/rewrite/driver.ts";
import { castRules } from "../src/rewrite/rules/casts.ts";
import { contentRules } from "../src/rewrite/rules/content.ts";
import { elementwiseRules } from "../src/rewrite/rules/elementwise.ts";
import { movementRules } from "../src/rewrite/rules/movement.ts";

const rules = [...movementRules, ...castRules, ...elementwiseRules, ...contentRules];

export default definePass({
  name: "canonicalize",
  summary: "Drop nodes that do nothing, merge those that make one, turn known integers into constants",
  options: z.strictObject({
    refusals: z
      .boolean()
      .default(false)
      .describe("Report rules that matched and declined, with their reasons"),
  }),
  statistics: Object.fromEntries(rules.map(({ name }) => [name, `rewrites by ${name}`])),
  run: (model, { options, stat, remark }) => {
    const report = rewriteModel(model, rules);
    for (const [name, count] of report.applied) stat(name, count);
    if (options.refusals)
      for (const [reason, count] of report.refused)
        remark(`${reason} (${count === 1 ? "1 node" : `${count} nodes`})`);
    if (!report.converged) remark("stopped before no rule fitted any more");
    return report.changed;
  },
});
