/** Gives recurrent networks their sequences as the runtime's kernels take them. */
import { z } from "zod";
import type { Node } from "../src/ir/node.ts";
import type { Value } from "../src/ir/value.ts";
import { OpBuilder } from "../src/ops/builder.ts";
import { replaceNode } from "../src/ops/kernels/replace-node.ts";
import { isStandard } from "../src/ops/traits.ts";
import { definePass } from "../src/pass/define.ts";

/** Positions of the operands that hold a batch: the input, and the first states. */
const batched: Readonly<Record<string, readonly number[]>> = { RNN: [0, 5], GRU: [0, 5], LSTM: [0, 5, 6] };

export default definePass({
  name: "time-first",
  summary: "Let RNN, GRU and LSTM read steps before batches, the one layout that has kernels",
  options: z.strictObject({}),
  statistics: { turned: "networks that had their batches first" },
  run: (model, { stat }) => {
    let turned = 0;
    for (const node of [...model.graph.allNodes()]) {
      const operands = isStandard(node.domain) ? batched[node.op] : undefined;
      if (operands === undefined || node.int("layout", 0) === 0) continue;
      turn(node, operands, model.opset);
      turned += 1;
    }
    stat("turned", turned);
    return turned > 0;
  },
});

/** Transposes around the node: of [batch, seq, ...] and [batch, directions, hidden], and of what comes out. */
function turn(node: Node, operands: readonly number[], opset: number): void {
  const { graph } = node;
  if (graph === undefined) return;
  const b = new OpBuilder({ graph, before: node }, opset);
  b.source = node;
  const inputs = node.inputs.map((input, index) =>
    input !== null && operands.includes(index) ? b.transpose(input, [1, 0, 2]) : input,
  );
  const attributes = { ...Object.fromEntries(node.attributes), layout: undefined };
  const results = b.ops(node.op, inputs, attributes, node.outputs.length);
  const replacements = node.outputs.map((output, index): Value | null => {
    const result = results[index];
    if (output === null || result === undefined) return null;
    return b.transpose(result, index === 0 ? [2, 0, 1, 3] : [1, 0, 2]);
  });
  replaceNode(node, replacements);
}
