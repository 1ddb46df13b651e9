/** Brings older models to the opset that the rules of the compiler speak. */
import { z } from "zod";
import { passErrors } from "../src/diagnostics/pass.ts";
import type { Model } from "../src/ir/model.ts";
import { isStandard } from "../src/ops/traits.ts";
import { baseOpset, knownOpset, newestOpset } from "../src/ops/versions.ts";
import { definePass } from "../src/pass/define.ts";
import { judgeContradictions } from "../src/rewrite/contradictions.ts";
import { limitImport, lowerFunction, lowerGraph } from "../src/rewrite/lower.ts";
import { raiseImport, upgradeFunction, upgradeGraph } from "../src/rewrite/upgrade.ts";

export default definePass({
  name: "upgrade-opset",
  summary:
    "Bring a model of opset 7 or newer to a later opset of ai.onnx, and one that is too new for the runtime back",
  options: z.strictObject({
    to: z
      .int()
      .min(7)
      .max(newestOpset)
      .default(baseOpset)
      .describe("Opset to reach; newer models stay as they are"),
  }),
  statistics: {
    upgraded: "upgrades made to nodes",
    lowered: "nodes rewritten for the newest opset that the runtime loads",
    constants:
      "defaults of inputs that became constants, since before IR version 4 no one could override them",
  },
  run: (model, { options: { to }, stat, remark }) => {
    const constants = model.irVersion < 4 ? settleDefaults(model) : 0;
    stat("constants", constants);
    let changed = constants > 0;
    for (const called of model.functions.values()) {
      const from = called.opsets.get("") ?? to;
      if (from > newestOpset) {
        stat("lowered", lowerFunction(called, from, newestOpset));
        changed = true;
      }
      if (from >= to) continue;
      stat("upgraded", upgradeFunction(called, checked(from), to));
      changed = true;
    }
    const from = importedOpset(model);
    if (Number.isFinite(from) && from > knownOpset) throw passErrors.E_NEW_OPSET(from, knownOpset);
    if (Number.isFinite(from) && from > newestOpset) {
      stat("lowered", lowerGraph(model.graph, from, newestOpset));
      limitImport(model, newestOpset);
      return true;
    }
    if (from < to) {
      stat(
        "upgraded",
        upgradeGraph(model.graph, checked(from), to, judgeContradictions(model.graph, remark)),
      );
      changed = true;
    }
    if (changed) raiseImport(model, Math.max(Number.isFinite(from) ? from : to, to));
    return changed;
  },
});

/** Opset of the main graph; one that uses no operator of ai.onnx need not import any. */
function importedOpset(model: Model): number {
  const opset = model.opsets.get("");
  if (opset !== undefined) return opset;
  const uses = [...model.graph.allNodes()].some(({ domain }) => isStandard(domain));
  return uses ? 1 : Number.POSITIVE_INFINITY;
}

function checked(opset: number): number {
  if (opset < 7) throw passErrors.E_OLD_OPSET(opset);
  return opset;
}

/** Turns inputs with a default into initializers: IR version 3 lists every weight as an input. */
function settleDefaults(model: Model): number {
  const { graph } = model;
  const defaulted = graph.inputs.filter((input) => input.initializer !== undefined);
  for (const input of defaulted) {
    if (input.initializer === undefined) continue;
    const constant = graph.addInitializer(input.initializer, input.name);
    for (const [key, value] of input.metadata) constant.metadata.set(key, value);
    input.replaceUses(constant);
    graph.removeInput(input);
  }
  return defaulted.length;
}
