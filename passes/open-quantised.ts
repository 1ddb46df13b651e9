/** Opens products of quantised numbers into the float products that they stand for, where adapters can attach. */
import { z } from "zod";
import { constantOf } from "../src/ir/constant.ts";
import type { Graph } from "../src/ir/graph.ts";
import type { Node } from "../src/ir/node.ts";
import { replaceValue } from "../src/ir/replace.ts";
import { OpBuilder } from "../src/ops/builder.ts";
import { opOf } from "../src/ops/registry.ts";
import { definePass } from "../src/pass/define.ts";

export default definePass({
  name: "open-quantised",
  summary:
    "Write products of quantised numbers with a constant weight as float products between DequantizeLinear and QuantizeLinear",
  options: z.strictObject({}),
  statistics: { opened: "products opened" },
  run: (model, { stat }) => {
    const count = open(model.graph, model.opset);
    stat("opened", count);
    return count > 0;
  },
});

function open(graph: Graph, opset: number): number {
  let count = 0;
  for (const node of graph.nodes()) {
    for (const body of node.subgraphs()) count += open(body, opset);
    if (!isOpened(node)) continue;
    const b = new OpBuilder({ graph, before: node }, opset);
    b.source = node;
    opOf(node)
      ?.expand(node, b)
      .forEach((replacement, index) => {
        const output = node.outputs[index];
        if (output != null && replacement !== null) replaceValue(output, replacement);
      });
    graph.remove(node);
    count += 1;
  }
  return count;
}

/**
 * The operator says itself that it is defined by others, and that it makes quantised numbers out of more than one operand of such;
 * a large constant among them is a weight.
 */
function isOpened(node: Node): boolean {
  const op = opOf(node);
  const { reads = [], makes = [] } = op?.quantized ?? {};
  if (op?.gradient.kind !== "expand" || makes.length === 0) return false;
  const known = node.inputs.every((input) => input === null || input.tensorType?.shape !== undefined);
  const isWeight = (index: number): boolean =>
    reads.includes(op.inputs[index]?.name ?? "") && (constantOf(node.input(index))?.dims.length ?? 0) > 1;
  return known && node.inputs.some((_, index) => isWeight(index));
}
