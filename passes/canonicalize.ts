/** Drops nodes that do nothing and merges those that make one, without changing what is computed. */
import { z } from "zod";
import { definePass } from "../src/pass/define.ts";
import { inlineBranches } from "../src/rewrite/branches.ts";
import { rewriteModel } from "../src/rewrite/driver.ts";
import { castRules } from "../src/rewrite/rules/casts.ts";
import { contentRules } from "../src/rewrite/rules/content.ts";
import { elementwiseRules } from "../src/rewrite/rules/elementwise.ts";
import { movementRules } from "../src/rewrite/rules/movement.ts";
import { previewRules } from "../src/rewrite/rules/preview.ts";
import { signalRules } from "../src/rewrite/rules/signal.ts";
import { windowRules } from "../src/rewrite/rules/windows.ts";

const rules = [
  ...movementRules,
  ...castRules,
  ...elementwiseRules,
  ...contentRules,
  ...signalRules,
  ...windowRules,
  ...previewRules,
];

const branchRule = "choose-constant-branch";

export default definePass({
  name: "canonicalize",
  summary: "Drop nodes that do nothing, merge those that make one, turn known integers into constants",
  options: z.strictObject({
    refusals: z
      .boolean()
      .default(false)
      .describe("Report rules that matched and declined, with their reasons"),
  }),
  statistics: {
    ...Object.fromEntries(rules.map(({ name }) => [name, `rewrites by ${name}`])),
    [branchRule]: "If nodes replaced by the branch that is taken",
  },
  run: (model, { options, stat, remark }) => {
    let changed = false;
    // A branch that comes in may be simplified further, and may let another condition become known.
    for (let branches = -1; branches !== 0; ) {
      const report = rewriteModel(model, rules);
      branches = inlineBranches(model.graph);
      changed ||= report.changed || branches > 0;
      stat(branchRule, branches);
      for (const [name, count] of report.applied) stat(name, count);
      if (branches > 0) continue;
      if (options.refusals)
        for (const [reason, count] of report.refused) remark(`${reason} (${counted(count)})`);
      if (!report.converged) remark("stopped before no rule fitted any more");
    }
    return changed;
  },
});

function counted(count: number): string {
  return count === 1 ? "1 node" : `${count} nodes`;
}
