/** Rules for pools over sliding windows. */
import { InternalError } from "../../diagnostics/define.ts";
import { dimsEqual } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { replaceValue } from "../../ir/replace.ts";
import type { Shape } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../../ops/builder.ts";
import { planWindows } from "../../ops/kernels/window.ts";
import type { Rule } from "../rule.ts";

/**
 * Rounding up that adds no window. Before opset 22 ONNX's own shape inference counts a last window that would begin in the padding
 * behind the operand, which no runtime makes, and calls the true size a contradiction.
 */
const dropCeilMode: Rule = {
  name: "drop-ceil-mode",
  roots: ["MaxPool", "AveragePool", "LpPool"],
  attempt: (node) => {
    const sizes = node.input(0)?.tensorType?.shape?.slice(2);
    const kernel = node.ints("kernel_shape", undefined);
    if (node.int("ceil_mode", 0) !== 1 || kernel === undefined || kernel.length !== sizes?.length)
      return undefined;
    const [up, down] = [countWindows(node, kernel, sizes, 1), countWindows(node, kernel, sizes, 0)];
    if (!up.every((count, axis) => dimsEqual(count, down[axis] ?? -1)))
      return { kind: "refused", reason: "it adds a window, or may add one" };
    return { kind: "ready", build: (b) => buildWithout(node, b) };
  },
};

function buildWithout(node: Node, b: OpBuilder): Value {
  const attributes = { ...Object.fromEntries(node.attributes), ceil_mode: undefined };
  const results = b.ops(node.op, node.inputs, attributes, node.outputs.length);
  const [first] = results;
  if (first === undefined) throw new InternalError(`${node.op} without a result`);
  for (const [index, output] of node.outputs.entries()) {
    const result = results[index];
    if (index > 0 && output !== null && result !== undefined) replaceValue(output, result);
  }
  return first;
}

function countWindows(node: Node, kernel: readonly number[], sizes: Shape, ceilMode: number): Shape {
  const attributes = {
    auto_pad: node.string("auto_pad", "NOTSET"),
    pads: node.ints("pads", undefined),
    strides: node.ints("strides", undefined),
    dilations: node.ints("dilations", undefined),
    ceil_mode: ceilMode,
  };
  return planWindows(attributes, kernel, sizes).map(({ output }) => output);
}

export const windowRules: readonly Rule[] = [dropCeilMode];
