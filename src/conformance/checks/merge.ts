/** Merging: the base model with merged weights computes what the adapted one does. */
import { basePath } from "../../adapt/select.ts";
import { mergeModel } from "../../compile/merge-model.ts";
import { runConstantGraph } from "../../compile/run-constant.ts";
import { DiagnosticError } from "../../diagnostics/define.ts";
import { type Check, distance, require } from "../check.ts";
import { evaluateExactly, randomBatch } from "../fed-graph.ts";
import { parseProbe } from "../probes.ts";
import { compileSubject, randomPoint, still, tensorsAt } from "../subject.ts";

/** Weights are merged in float32. */
const tolerance = 1e-4;

export const mergedModel: Check = {
  name: "merges into weights that compute the same",
  per: "site",
  run: async (subject) => {
    const compiled = compileSubject(subject, still);
    const { adapter, sites } = compiled.plan;
    const point = randomPoint(compiled);
    const base = parseProbe(subject.probe);
    const request = {
      adapter,
      paths: [...new Set(sites.map(basePath))],
      tensors: tensorsAt(compiled, point),
      run: runConstantGraph,
    };
    const merged = await mergeModel(base, request).catch((error: unknown) => {
      if (error instanceof DiagnosticError && error.code === "E_MERGE_REFUSED") return error.diagnostics[0];
      throw error;
    });
    if ("code" in merged) {
      require((merged.got ?? merged.message).length > 0, "it refuses to merge without a reason");
      return merged.got ?? merged.message;
    }
    const graph = compiled.graphs.eval;
    const batch = randomBatch(graph, 4, 3);
    const wanted = evaluateExactly(graph, { batch, state: point });
    const before = evaluateExactly(base, { batch, state: new Map() });
    for (const [name, own] of evaluateExactly(merged, { batch, state: new Map() })) {
      const [adapted, unadapted] = [wanted.get(name), before.get(name)];
      require(adapted !== undefined &&
        unadapted !== undefined, `the merged model yields "${name}", the adapted one does not`);
      const apart = distance(own, adapted);
      require(distance(adapted, unadapted) >
        10 * tolerance, "trained tensors change nothing, so that merging is not tested");
      require(apart < tolerance, `output "${name}" of the merged model is ${apart} from the adapted one's`);
    }
    return undefined;
  },
};
