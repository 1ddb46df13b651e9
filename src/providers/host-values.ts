/** Which values of a graph stay on the CPU of every provider: sizes, and arithmetic on nothing but sizes. */
import { constantOf } from "../ir/constant.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { paramAt } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";

/** Results of these are sizes of something that lies on the device. */
const sizeQueries: ReadonlySet<string> = new Set(["Shape", "Size"]);

/** These read sizes on the CPU and fill memory on the device. */
const fillers: ReadonlySet<string> = new Set(["Range", "ConstantOfShape", "Expand", "EyeLike"]);

/** Values computed from sizes and constants alone; constants themselves are not among them, since both sides have them. */
export function hostValues(graph: Graph): Set<Value> {
  const host = new Set<Value>();
  for (const node of graph.nodes()) {
    if (node.subgraphs().length > 0 || !isHostNode(node, host)) continue;
    for (const output of node.outputs) if (output !== null) host.add(output);
  }
  return host;
}

function isHostNode(node: Node, host: ReadonlySet<Value>): boolean {
  if (sizeQueries.has(node.op)) return true;
  if (fillers.has(node.op)) return false;
  const inputs = node.inputs.filter((input) => input !== null);
  // A constant that is sliced by a size stays where the constant is.
  const reads = (input: Value | undefined): boolean => input !== undefined && host.has(input);
  if (!deviceOperands(node).some((index) => reads(node.input(index)))) return false;
  const onHost = inputs.every((input) => host.has(input) || constantOf(input) !== undefined);
  return onHost && node.outputs.every((output) => !isFloat(output?.tensorType?.dtype ?? "float32"));
}

/** Operands that the device's kernels read, as opposed to sizes and axes that they read on the CPU. */
export function deviceOperands(node: Node): number[] {
  const op = opOf(node);
  return node.inputs.flatMap((input, index) => {
    const name = op === undefined ? undefined : paramAt(op.inputs, index)?.name;
    return input === null || (name !== undefined && op?.hostInputs.has(name)) ? [] : [index];
  });
}
