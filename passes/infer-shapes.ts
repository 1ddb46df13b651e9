/** Infers the types of all values, with symbolic dimensions. */
import { z } from "zod";
import type { Graph } from "../src/ir/graph.ts";
import { formatType } from "../src/ir/type.ts";
import type { Value } from "../src/ir/value.ts";
import { inferModel } from "../src/ops/infer.ts";
import { opOf } from "../src/ops/registry.ts";
import { baseOpset, isCurrent } from "../src/ops/versions.ts";
import { definePass } from "../src/pass/define.ts";
import { judgeContradictions } from "../src/rewrite/contradictions.ts";

export default definePass({
  name: "infer-shapes",
  summary: "Infer element types and symbolic shapes of all values",
  options: z.strictObject({}),
  statistics: {
    refined: "values whose type became known, or known better",
    unknown: "tensors of which not even the rank is known afterwards",
  },
  run: (model, { stat, remark }) => {
    const before = new Map([...valuesOf(model.graph)].map((value) => [value, typeText(value)]));
    for (const node of model.graph.allNodes()) {
      const op = opOf(node);
      if (op === undefined || isCurrent(op, model.opset)) continue;
      remark(
        `opset ${model.opset} is older than ${baseOpset}, and ${node.op} has changed: run upgrade-opset first`,
      );
      break;
    }
    inferModel(model, judgeContradictions(model.graph, remark));
    let refined = 0;
    for (const [value, text] of before) {
      if (typeText(value) !== text) refined += 1;
      if (value.type === undefined || (value.tensorType && value.tensorType.shape === undefined))
        stat("unknown");
    }
    stat("refined", refined);
    return refined > 0;
  },
});

/** Results of all nodes; the types of inputs and initializers are given. */
function* valuesOf(graph: Graph): Generator<Value, void, undefined> {
  for (const node of graph.allNodes()) for (const output of node.outputs) if (output !== null) yield output;
}

/** Text of a type in which unknown dimensions, which are new at each inference, look the same. */
function typeText(value: Value): string {
  return formatType(value.type).replace(/\?\d+/g, "?");
}
