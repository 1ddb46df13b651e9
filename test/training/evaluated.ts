/** Runs the graphs of a compiled artifact by our own evaluator, fed as `GraphSession` feeds the runtime. */
import type { Model } from "../../src/ir/model.ts";
import { roleFact, roleOf } from "../../src/ir/role.ts";
import type { Value } from "../../src/ir/value.ts";
import { evaluateGraph } from "../../src/ops/evaluate.ts";
import type { NDArray } from "../../src/ops/ndarray.ts";
import type { Batch } from "../oracle/graph-session.ts";

/**
 * Outputs of a graph: batch fields by name, everything else from `state` or `extra` by input name.
 *
 * @param exact leaves out all rounding.
 */
export function evaluateModel(
  { graph, opset }: Model,
  batch: Batch,
  state: ReadonlyMap<string, NDArray>,
  extra: Readonly<Record<string, NDArray>> = {},
  exact = false,
): Map<Value, NDArray> {
  const feeds = new Map(
    graph.inputs.map((input) => {
      const array = extra[input.name] ?? state.get(input.name) ?? batch.get(roleFact(input, "field") ?? "");
      if (array === undefined) throw new Error(`nothing to feed to "${input.name}" (${roleOf(input)})`);
      return [input, array] as const;
    }),
  );
  const results = evaluateGraph(graph, feeds, { opset, exact });
  return new Map(
    graph.outputs.map((output, index) => {
      const array = results[index];
      if (array === undefined) throw new Error(`no output "${output.name}"`);
      return [output, array];
    }),
  );
}
