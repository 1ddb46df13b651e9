/** MoE of com.microsoft: a mixture of experts, of which each token passes through some. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { type ExpertAttributes, expertParams, mixExperts } from "../kernels/experts.ts";

export const MoE = defineOp({
  type: "MoE",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["x", "router", "fc1", "bias1?", "fc2", "bias2?", "fc3?", "bias3?"],
  ranks: { x: [2, 3], router: 2, fc1: 3, bias1: 2, fc2: 3, bias2: 2, fc3: 3, bias3: 2 },
  outputs: ["y"],
  attributes: expertParams,
  infer: ({ in: { x } }) => [x.type],
  evaluate: byExpansion,
  precision: "low",
  // All experts see all tokens, and the gates of those that were not chosen are zero: the choice itself has no gradient.
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, router, fc1, bias1, fc2, bias2, fc3, bias3 }, attrs, b }) => {
      const layers = { fc1, bias1, fc2, bias2, fc3, bias3 };
      return [mixExperts(b, node, x, layers, routing(b, router, attrs), attrs)];
    },
  },
});

/** Gates `[tokens, experts]`: the softmax of the router where it is among the k largest, zero elsewhere. */
function routing(b: OpBuilder, router: Value, { k, normalize_routing_weights }: ExpertAttributes): Value {
  const weights = b.op("Softmax", [router], { axis: -1 });
  const [largest = weights, chosen = weights] = b.ops("TopK", [weights, b.ints([k])], { axis: -1 }, 2);
  const shares = normalize_routing_weights === 0 ? largest : b.div(largest, b.reduceSum(largest, [-1]));
  return b.op("ScatterElements", [b.zerosLike(router), chosen, shares], { axis: 1 });
}
