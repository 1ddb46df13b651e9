/** MoE of com.microsoft: a mixture of experts, of which each token passes through some. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf, dtypeOf, rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import { counts, float, int, maybeFloat, text } from "../params.ts";

interface Experts {
  readonly activation_alpha: number;
  readonly activation_beta: number;
  readonly activation_type: string;
  readonly k: number;
  readonly normalize_routing_weights: number;
  readonly swiglu_fusion: number;
  readonly swiglu_limit: number | undefined;
}

export const MoE = defineOp({
  type: "MoE",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["x", "router", "fc1", "bias1?", "fc2", "bias2?", "fc3?", "bias3?"],
  ranks: { x: [2, 3], router: 2, fc1: 3, bias1: 2, fc2: 3, bias2: 2, fc3: 3, bias3: 2 },
  outputs: ["y"],
  attributes: {
    activation_alpha: float(1),
    activation_beta: float(0),
    activation_type: text("relu"),
    k: int(1, counts),
    normalize_routing_weights: int(0),
    swiglu_fusion: int(0),
    swiglu_limit: maybeFloat(),
    use_sparse_mixer: int(0),
  },
  infer: ({ in: { x } }) => [x.type],
  evaluate: byExpansion,
  precision: "low",
  // All experts see all tokens, and the gates of those that were not chosen are zero: the choice itself has no gradient.
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, router, fc1, bias1, fc2, bias2, fc3, bias3 }, attrs, b }) => {
      if (attrs.use_sparse_mixer !== 0)
        throw operatorErrors.E_OPERATOR_FORM(node, "a sparse mixer", "gates by softmax");
      requireOneOf(node, "activation_type", attrs.activation_type, [
        "relu",
        "gelu",
        "silu",
        "swiglu",
        "identity",
      ]);
      const width = dimOf(x, -1);
      if (typeof width !== "number") throw operatorErrors.E_UNKNOWN_SIZE(node, "the width of its tokens");
      const tokens = b.unsqueeze(rankOf(x) === 2 ? x : b.reshape(x, [-1, width]), [0]);
      const first = layer(b, tokens, fc1, bias1);
      const third = fc3 === undefined ? undefined : layer(b, tokens, fc3, bias3);
      const results = layer(b, activate(b, node, first, third, attrs), fc2, bias2);
      const gates = b.unsqueeze(b.transpose(routing(b, router, attrs), [1, 0]), [2]);
      return [b.reshape(b.reduceSum(b.mul(results, gates), [0], false), b.shape(x))];
    },
  },
});

/** `[experts, tokens, out]` of weights `[experts, out, in]`. */
function layer(b: OpBuilder, x: Value, weights: Value, bias: Value | undefined): Value {
  const product = b.matmul(x, b.transpose(weights, [0, 2, 1]));
  return bias === undefined ? product : b.add(product, b.unsqueeze(bias, [1]));
}

/** Gates `[tokens, experts]`: the softmax of the router where it is among the k largest, zero elsewhere. */
function routing(b: OpBuilder, router: Value, { k, normalize_routing_weights }: Experts): Value {
  const weights = b.op("Softmax", [router], { axis: -1 });
  const [largest = weights, chosen = weights] = b.ops("TopK", [weights, b.ints([k])], { axis: -1 }, 2);
  const shares = normalize_routing_weights === 0 ? largest : b.div(largest, b.reduceSum(largest, [-1]));
  return b.op("ScatterElements", [b.zerosLike(router), chosen, shares], { axis: 1 });
}

function activate(b: OpBuilder, node: Node, x: Value, gated: Value | undefined, options: Experts): Value {
  if (options.activation_type === "swiglu") return swiglu(b, node, x, gated, options);
  const active = plain(b, x, options.activation_type);
  return gated === undefined ? active : b.mul(active, gated);
}

function plain(b: OpBuilder, x: Value, type: string): Value {
  if (type === "relu") return b.op("Relu", [x]);
  // The kernel approximates the error function.
  if (type === "gelu") return b.op("Gelu", [x], { approximate: "tanh" });
  return type === "silu" ? b.mul(x, b.op("Sigmoid", [x])) : x;
}

/** `G sigmoid(alpha G) (L + beta)`, both clamped, from two layers or one that holds both in turn or behind each other. */
function swiglu(b: OpBuilder, node: Node, x: Value, other: Value | undefined, options: Experts): Value {
  const { swiglu_fusion, swiglu_limit, activation_alpha, activation_beta } = options;
  const [gate, linear] = other === undefined ? parts(b, node, x, swiglu_fusion) : [x, other];
  const limit = swiglu_limit === undefined ? undefined : b.scalar(swiglu_limit, dtypeOf(x));
  const below = limit === undefined ? gate : b.min(gate, limit);
  const within = limit === undefined ? linear : b.max(b.min(linear, limit), b.neg(limit));
  const swish = b.mul(below, b.op("Sigmoid", [b.mul(below, activation_alpha)]));
  return b.mul(swish, activation_beta === 0 ? within : b.add(within, activation_beta));
}

function parts(b: OpBuilder, node: Node, x: Value, fusion: number): [Value, Value] {
  if (fusion === 2) {
    const [gate = x, linear = x] = b.ops("Split", [x], { axis: 2, num_outputs: 2 }, 2);
    return [gate, linear];
  }
  if (fusion !== 1)
    throw operatorErrors.E_OPERATOR_FORM(node, "swiglu without fc3", "swiglu_fusion of 1 or 2");
  const every = (start: number): Value =>
    b.op("Slice", [x, b.ints([start]), b.ints([2 ** 31 - 1]), b.ints([2]), b.ints([2])]);
  return [every(0), every(1)];
}
