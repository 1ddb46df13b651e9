/** Experts of a mixture: two or three layers each, that all tokens pass through, weighted by gates. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dimOf, dtypeOf, rankOf } from "../facts.ts";
import { counts, float, int, maybeFloat, text } from "../params.ts";
import { requireOneOf } from "./require-attribute.ts";

/** Attributes of operators that mix experts. */
export const expertParams = {
  activation_alpha: float(1),
  activation_beta: float(0),
  activation_type: text("relu"),
  k: int(1, counts),
  normalize_routing_weights: int(0),
  swiglu_fusion: int(0),
  swiglu_limit: maybeFloat(),
  use_sparse_mixer: int(0),
};

/** Their values. */
export interface ExpertAttributes {
  readonly activation_alpha: number;
  readonly activation_beta: number;
  readonly activation_type: string;
  readonly k: number;
  readonly normalize_routing_weights: number;
  readonly swiglu_fusion: number;
  readonly swiglu_limit: number | undefined;
  readonly use_sparse_mixer: number;
}

/** Weights `[experts, out, in]` and biases `[experts, out]`. */
export interface ExpertLayers {
  readonly fc1: Value;
  readonly bias1: Value | undefined;
  readonly fc2: Value;
  readonly bias2: Value | undefined;
  readonly fc3: Value | undefined;
  readonly bias3: Value | undefined;
}

/**
 * The sum over experts of what each makes of the tokens `x [tokens, width]` or `[batch, length, width]`, times its gate of
 * `gates [tokens, experts]`, which is 0 for an expert that was not chosen.
 *
 * @throws DiagnosticError E_OPERATOR_FORM, E_BAD_ATTRIBUTE, E_UNKNOWN_SIZE.
 */
export function mixExperts(
  b: OpBuilder,
  node: Node,
  x: Value,
  { fc1, bias1, fc2, bias2, fc3, bias3 }: ExpertLayers,
  routing: Value,
  attrs: ExpertAttributes,
): Value {
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
  const gates = b.unsqueeze(b.transpose(routing, [1, 0]), [2]);
  return b.reshape(b.reduceSum(b.mul(results, gates), [0], false), b.shape(x));
}

/** `[experts, tokens, out]` of weights `[experts, out, in]`. */
function layer(b: OpBuilder, x: Value, weights: Value, bias: Value | undefined): Value {
  const product = b.matmul(x, b.transpose(weights, [0, 2, 1]));
  return bias === undefined ? product : b.add(product, b.unsqueeze(bias, [1]));
}

function activate(
  b: OpBuilder,
  node: Node,
  x: Value,
  gated: Value | undefined,
  options: ExpertAttributes,
): Value {
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
function swiglu(
  b: OpBuilder,
  node: Node,
  x: Value,
  other: Value | undefined,
  options: ExpertAttributes,
): Value {
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
