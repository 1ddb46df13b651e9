/** Activations of com.microsoft as the runtime's optimizer writes them: Gelu, FastGelu, QuickGelu, BiasGelu. */

import { InternalError } from "../../diagnostics/define.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { evaluateEquivalent } from "../kernels/expanded.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { float } from "../params.ts";
import type { Op } from "../record.ts";

/** An activation of `x + bias` that standard operators spell as well. */
function defineActivation(type: string, equivalent: (b: OpBuilder, x: Value, alpha: number) => Value): Op {
  return defineOp({
    type,
    domain: "com.microsoft",
    versions: [1],
    // Gelu and QuickGelu are never given the bias.
    inputs: ["x", "bias?"],
    outputs: ["y"],
    attributes: type === "QuickGelu" ? { alpha: float(1.702) } : {},
    infer: ({ node }) => [inferBroadcast(node.inputs.filter((input) => input !== null))],
    evaluate: ({ node, in: { x: operand, bias: added }, opset, exact }) => {
      return evaluateEquivalent([operand, added], { opset, exact }, (b, [x, bias]) => {
        if (x === undefined) throw new InternalError(`${type} lacks its operand`);
        return [equivalent(b, bias === undefined ? x : b.add(x, bias), node.float("alpha", 1.702))];
      });
    },
    precision: "follow",
    gradient: {
      kind: "expand",
      rule: ({ node, in: { x, bias }, b }) => {
        return [equivalent(b, bias === undefined ? x : b.add(x, bias), node.float("alpha", 1.702))];
      },
    },
  });
}

export const RuntimeGelu = defineActivation("Gelu", (b, x) => b.op("Gelu", [x]));
export const BiasGelu = defineActivation("BiasGelu", (b, x) => b.op("Gelu", [x]));
export const FastGelu = defineActivation("FastGelu", (b, x) => b.op("Gelu", [x], { approximate: "tanh" }));
export const QuickGelu = defineActivation("QuickGelu", (b, x, alpha) =>
  b.mul(x, b.op("Sigmoid", [b.mul(x, alpha)])),
);
