/** Evaluation of operators by their own decomposition into others. */
import { InternalError } from "../../diagnostics/define.ts";
import { Graph } from "../../ir/graph.ts";
import { Node } from "../../ir/node.ts";
import { type TensorType, tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../builder.ts";
import { evaluateGraph } from "../evaluate.ts";
import type { NDArray } from "../ndarray.ts";
import type { ByExpansion } from "../record.ts";
import { opOf } from "../registry.ts";
import { baseOpset } from "../versions.ts";

/**
 * For `evaluate` of a record whose gradient is an `expand` rule: the rule is the operator's one definition, which tests
 * hold against the runtime's kernel.
 */
export const byExpansion: ByExpansion = {
  kind: "expansion",
  run: (node, operands, options, expand) => {
    const graph = new Graph();
    const feeds = new Map<Value, NDArray>();
    const inputs = operands.map((operand) => {
      if (operand === undefined) return null;
      const value = graph.addInput({ name: "operand", type: tensorType(operand.dtype, operand.shape) });
      feeds.set(value, operand);
      return value;
    });
    const copy = new Node({
      op: node.op,
      domain: node.domain,
      name: node.name,
      inputs,
      attributes: Object.fromEntries(node.attributes),
      outputs: node.outputs.length,
    });
    const opset = Math.max(options.opset, baseOpset);
    const results = expand(copy, new OpBuilder({ graph }, opset));
    copy.dropInputs();
    for (const result of results) if (result !== null) graph.addOutput(result);
    const arrays = evaluateGraph(graph, feeds, { ...options, opset });
    let next = 0;
    return results.map((result) => {
      if (result === null) return null;
      const array = arrays[next++];
      if (array === undefined) throw new InternalError("a result of a decomposition is missing");
      return array;
    });
  },
};

/** The types of the results of an operator's `expand` rule, for shape rules that would only say the same again. */
export function inferByExpansion(node: Node, opset: number): (TensorType | undefined)[] {
  const graph = new Graph();
  const inputs = node.inputs.map((input) =>
    input === null ? null : graph.addInput({ name: "operand", type: input.type }),
  );
  if (inputs.some((input) => input !== null && input.tensorType?.shape === undefined)) return [];
  const copy = new Node({
    op: node.op,
    domain: node.domain,
    name: node.name,
    inputs,
    attributes: Object.fromEntries(node.attributes),
    outputs: node.outputs.length,
  });
  const results = opOf(node)?.expand(copy, new OpBuilder({ graph }, Math.max(opset, baseOpset)));
  copy.dropInputs();
  return results?.map((result) => result?.tensorType) ?? [];
}
