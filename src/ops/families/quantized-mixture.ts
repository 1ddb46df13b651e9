/** QMoE of com.microsoft: a mixture of experts whose weights are packed in a few bits. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { type ExpertAttributes, expertParams, mixExperts } from "../kernels/experts.ts";
import { expertWeights } from "../kernels/packed-weights.ts";
import { amounts, int, text } from "../params.ts";

/** MoE with weights of `expert_weight_bits` bits, of which integers are taken, not 4- and 8-bit floats (ONNX Runtime's schema). */
export const QMoE = defineOp({
  type: "QMoE",
  domain: "com.microsoft",
  versions: [1],
  inputs: [
    ...(["x", "router", "fc1", "scales1?", "bias1?", "fc2", "scales2?", "bias2?"] as const),
    ...(["fc3?", "scales3?", "bias3?", "zeros1?", "zeros2?", "zeros3?", "mixing?"] as const),
    ...(["whole1?", "whole2?", "step1?", "step2?", "steps1?", "steps2?"] as const),
  ],
  ranks: { x: [2, 3], router: 2, fc1: 3, bias1: 2, fc2: 3, bias2: 2, fc3: 3, bias3: 2, mixing: 2 },
  outputs: ["y"],
  attributes: {
    ...expertParams,
    block_size: int(0, amounts),
    expert_weight_bits: int(4),
    quant_type: text("int"),
    weights_prepacked: int(-1),
  },
  infer: ({ in: { x } }) => [x.type],
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: given, attrs, b }) => {
      if (attrs.quant_type !== "int")
        throw operatorErrors.E_OPERATOR_FORM(node, `weights of ${attrs.quant_type}`, "quant_type int");
      if (attrs.weights_prepacked === 1)
        throw operatorErrors.E_OPERATOR_FORM(node, "weights in the order of a GPU", "weights_prepacked 0");
      const form = { bits: attrs.expert_weight_bits, block_size: attrs.block_size };
      const weights = (data: Value, scales: Value | undefined, zeros: Value | undefined): Value => {
        if (scales === undefined)
          throw operatorErrors.E_OPERATOR_FORM(node, "weights without scales", "scales");
        return b.castLike(expertWeights(b, { data, scales, zeros }, form), given.x);
      };
      const layers = {
        fc1: weights(given.fc1, given.scales1, given.zeros1),
        bias1: given.bias1,
        fc2: weights(given.fc2, given.scales2, given.zeros2),
        bias2: given.bias2,
        fc3: given.fc3 === undefined ? undefined : weights(given.fc3, given.scales3, given.zeros3),
        bias3: given.bias3,
      };
      return [mixExperts(b, node, given.x, layers, gatesOf(b, node, given, attrs), attrs)];
    },
  },
});

/**
 * Gates `[tokens, experts]`: the softmax over the k largest numbers of the router, or what `mixing` says of those. The choice itself
 * has no gradient. Without normalization the runtime's providers do not agree: the CPU normalizes all the same.
 */
function gatesOf(
  b: OpBuilder,
  node: Node,
  { router, mixing }: { readonly router: Value; readonly mixing: Value | undefined },
  attrs: ExpertAttributes,
): Value {
  if (attrs.normalize_routing_weights === 0)
    throw operatorErrors.E_OPERATOR_FORM(
      node,
      "gates that are not normalized",
      "normalize_routing_weights 1",
    );
  const [largest = router, chosen = router] = b.ops("TopK", [router, b.ints([attrs.k])], { axis: -1 }, 2);
  const shares =
    mixing === undefined ? b.op("Softmax", [largest], { axis: -1 }) : normalized(b, mixing, chosen);
  return b.op("ScatterElements", [b.zerosLike(router), chosen, shares], { axis: 1 });
}

function normalized(b: OpBuilder, mixing: Value, chosen: Value): Value {
  const picked = b.op("GatherElements", [mixing, chosen], { axis: 1 });
  return b.div(picked, b.reduceSum(picked, [-1]));
}
