/** Linear attention as a Scan over the tokens. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { isLow } from "../../ir/dtype.ts";
import { Graph } from "../../ir/graph.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../builder.ts";
import { dimOf, dtypeOf, shapeOf } from "../facts.ts";
import { requireOneOf } from "./require-attribute.ts";
import { shapeVector, sizeAt } from "./shape-vector.ts";

/** Operands as ONNX packs them: [batch, tokens, heads*size], the state [batch, heads, keys, values]. */
export interface LinearAttentionOperands {
  readonly q: Value;
  readonly k: Value;
  readonly v: Value;
  readonly past: Value | undefined;
  /** Logarithms of what is left of the state, for each head or each key of one. */
  readonly decay: Value | undefined;
  /** For each head, or for all of them. */
  readonly beta: Value | undefined;
}

/** Heads of keys and values, those of queries, the factor of the result (0 for `keys^-1/2`), and the update rule. */
export interface LinearAttentionOptions {
  readonly heads: number;
  readonly queryHeads: number;
  readonly scale: number;
  readonly rule: string;
}

/**
 * For each token `S = e^decay S`, then `S = S + k v^T`, or for the delta rules `S = S + k (beta (v - S^T k))^T`; the
 * result is `scale S^T q` (ONNX LinearAttention, opset 27). Computed in float32 where operands are shorter.
 *
 * @returns the result and the last state.
 * @throws DiagnosticError E_BAD_ATTRIBUTE for an unknown rule or heads that do not divide, E_BAD_OPERAND where the rule
 * and the operands decay and beta do not fit.
 */
export function linearAttention(
  b: OpBuilder,
  node: Node,
  operands: LinearAttentionOperands,
  { heads, queryHeads, scale, rule }: LinearAttentionOptions,
): [Value, Value] {
  requireOneOf(node, "update_rule", rule, ["linear", "gated", "delta", "gated_delta"]);
  requireFor(node, "decay", operands.decay, rule.startsWith("gated"));
  requireFor(node, "beta", operands.beta, rule.endsWith("delta"));
  if (queryHeads % heads !== 0)
    throw operatorErrors.E_BAD_ATTRIBUTE(node, "q_num_heads", `a multiple of ${heads}`, `${queryHeads}`);
  const dtype = dtypeOf(operands.q);
  const wide = (x: Value): Value => (isLow(dtypeOf(x)) ? b.cast(x, "float32") : x);
  const q = scaleQueries(b, b.reshape(wide(operands.q), [0, 0, heads, queryHeads / heads, -1]), scale);
  const k = b.reshape(wide(operands.k), [0, 0, heads, -1, 1]);
  const v = b.reshape(wide(operands.v), [0, 0, heads, 1, -1]);
  const left = operands.decay && b.exp(b.reshape(wide(operands.decay), [0, 0, heads, -1, 1]));
  const beta = operands.beta && b.reshape(wide(operands.beta), [0, 0, -1, 1, 1]);
  const sizes = [sizeAt(operands.q, 0), heads, sizeAt(k, 3), sizeAt(v, 4)];
  const zeros = (): Value => b.expand(b.scalar(0, dtypeOf(q)), shapeVector(b, sizes));
  const start = operands.past === undefined ? zeros() : wide(operands.past);

  const body = new Graph("token");
  const inner = new OpBuilder({ graph: body }, b.opset);
  const state = body.addInput({ name: "state", type: start.type });
  const slice = (x: Value): Value =>
    body.addInput({ name: "token", type: tensorType(dtypeOf(x), shapeOf(x).toSpliced(1, 1)) });
  const [key, value, query] = [slice(k), slice(v), slice(q)];
  const [kept, rate] = [left && slice(left), beta && slice(beta)];
  const before = kept === undefined ? state : inner.mul(state, kept);
  const known = rate && inner.matmul(inner.transposeLast(key), before);
  const news = rate === undefined || known === undefined ? value : inner.mul(rate, inner.sub(value, known));
  const next = inner.add(before, inner.mul(key, news));
  body.addOutput(next);
  body.addOutput(inner.matmul(query, next));

  const scanned = [k, v, q, left, beta].filter((x) => x !== undefined);
  const attributes = {
    body,
    num_scan_inputs: scanned.length,
    scan_input_axes: scanned.map(() => 1),
    scan_output_axes: [1],
  };
  const [last = start, all = q] = b.ops("Scan", [start, ...scanned], attributes, 2);
  const y = b.reshape(all, [0, 0, -1]);
  return [b.cast(y, dtype), b.cast(last, operands.past === undefined ? dtype : dtypeOf(operands.past))];
}

function scaleQueries(b: OpBuilder, q: Value, scale: number): Value {
  if (scale !== 0) return scale === 1 ? q : b.mul(q, scale);
  const size = dimOf(q, -1);
  if (typeof size === "number") return b.mul(q, 1 / Math.sqrt(size));
  return b.div(q, b.sqrt(b.castLike(b.dim(q, -1), q)));
}

function requireFor(node: Node, name: string, operand: Value | undefined, needed: boolean): void {
  if ((operand !== undefined) === needed) return;
  const [expected, got] = needed ? ["a tensor", "nothing"] : ["nothing, by its update rule", "a tensor"];
  throw operatorErrors.E_BAD_OPERAND(node, name, expected, got);
}
