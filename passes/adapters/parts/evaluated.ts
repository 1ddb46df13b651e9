/** Starting values that are computed in operators, as the graph itself computes. */
import { InternalError } from "../../../src/diagnostics/define.ts";
import { inlineTensor } from "../../../src/ir/constant.ts";
import { Graph } from "../../../src/ir/graph.ts";
import type { Value } from "../../../src/ir/value.ts";
import { OpBuilder } from "../../../src/ops/builder.ts";
import { evaluateGraph } from "../../../src/ops/evaluate.ts";

const opset = 20;

/**
 * The elements of what `make` builds, computed in float64.
 *
 * @param make gets a builder, and what makes a value of given elements.
 */
export function evaluated(
  make: (b: OpBuilder, array: (values: Float32Array, shape: readonly number[]) => Value) => Value,
): Float32Array<ArrayBuffer> {
  const graph = new Graph("start");
  const b = new OpBuilder({ graph }, opset);
  const result = make(b, (values, shape) => {
    const bytes = new Uint8Array(Float32Array.from(values).buffer);
    return b.constant(inlineTensor("float32", shape, bytes), "array");
  });
  graph.addOutput(result);
  const [array] = evaluateGraph(graph, new Map(), { opset, exact: true });
  if (array === undefined) throw new InternalError("a starting value has no elements");
  return Float32Array.from(array.numbers);
}
