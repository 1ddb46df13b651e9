/** Unmerging: the weights that merging started from come back. */
import { basePath } from "../../adapt/select.ts";
import { mergeModel, unmergeModel } from "../../compile/merge-model.ts";
import { runConstantGraph } from "../../compile/run-constant.ts";
import { DiagnosticError } from "../../diagnostics/define.ts";
import { isFloat } from "../../ir/dtype.ts";
import type { Model } from "../../ir/model.ts";
import { fromTensor, type NDArray } from "../../ops/ndarray.ts";
import { type Check, distance, require } from "../check.ts";
import { parseProbe } from "../probes.ts";
import { compileSubject, randomPoint, still, tensorsAt } from "../subject.ts";

/** Weights are merged and unmerged in float32. */
const tolerance = 2e-5;

/** What one of them loses by that. */
const rounding = 1e-6;

const refusals: ReadonlySet<string> = new Set(["E_MERGE_REFUSED", "E_UNMERGE_REFUSED"]);

export const unmergedModel: Check = {
  name: "gives the weights back that it merged into",
  per: "site",
  run: async (subject) => {
    const compiled = compileSubject(subject, still);
    const { adapter, sites } = compiled.plan;
    const base = parseProbe(subject.probe);
    const request = {
      adapter,
      paths: [...new Set(sites.map(basePath))],
      tensors: tensorsAt(compiled, randomPoint(compiled)),
      run: runConstantGraph,
    };
    try {
      const merged = await mergeModel(base, request);
      const source = weightsOf(base);
      const back = weightsOf(await unmergeModel(merged, request));
      const changes = [...weightsOf(merged)].map(([name, array]) => {
        const before = source.get(name);
        return before === undefined ? 0 : distance(array, before);
      });
      const change = Math.max(...changes);
      require(change > 10 * rounding, "trained tensors change nothing, so that unmerging is not tested");
      for (const [name, before] of source) {
        const own = back.get(name);
        const apart = own === undefined ? Number.POSITIVE_INFINITY : distance(own, before);
        require(apart <
          Math.min(tolerance, change / 10), `"${name}" is ${apart} from what it was before merging`);
      }
      return undefined;
    } catch (error) {
      if (!(error instanceof DiagnosticError) || !refusals.has(error.code)) throw error;
      const { got, message } = error.diagnostics[0];
      require((got ?? message).length > 0, "it refuses without a reason");
      return got ?? message;
    }
  },
};

function weightsOf({ graph }: Model): Map<string, NDArray> {
  return new Map(
    [...graph.initializers].flatMap(({ name, initializer }) =>
      initializer !== undefined && isFloat(initializer.dtype)
        ? [[name, fromTensor(initializer)] as const]
        : [],
    ),
  );
}
