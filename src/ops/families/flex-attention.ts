/** FlexAttention of ai.onnx.preview: attention whose scores and weights pass through bodies of the model's own. */

import { InternalError } from "../../diagnostics/define.ts";
import { operatorErrors } from "../../diagnostics/operator.ts";
import { type DType, dtypeFromCode } from "../../ir/dtype.ts";
import type { Graph } from "../../ir/graph.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { repeatHeads, scaledScores } from "../kernels/heads.ts";
import { inlineBody } from "../kernels/inline-body.ts";
import { requireSizes } from "../kernels/require-sizes.ts";
import { graph, int, maybeFloat } from "../params.ts";

/**
 * `prob_mod(softmax(score_mod(q k^T * scale))) v` of `q [batch, heads, length, size]` (ONNX FlexAttention 1). Bodies and softmax
 * compute in `softmax_precision`: float64 for float64, else float32.
 */
export const FlexAttention = defineOp({
  type: "FlexAttention",
  domain: "ai.onnx.preview",
  versions: [1],
  inputs: ["q", "k", "v"],
  ranks: { q: 4, k: 4, v: 4 },
  outputs: ["y"],
  attributes: { prob_mod: graph(), score_mod: graph(), scale: maybeFloat(), softmax_precision: int(0) },
  infer: ({ node, in: { q, k, v }, attrs: { prob_mod, score_mod, softmax_precision }, inferBody }) => {
    requireSizes(node, {
      q: [q.tensorType?.shape, "batch heads queries size"],
      k: [k.tensorType?.shape, "batch shared keys size"],
      v: [v.tensorType?.shape, "batch shared keys width"],
    });
    const [of, over] = [q, k].map((operand) => operand.tensorType?.shape?.[1]);
    if (typeof of === "number" && typeof over === "number" && (over === 0 || of % over !== 0))
      throw operatorErrors.E_BAD_OPERAND(node, "k", `a number of heads that divides ${of}`, `${over}`);
    const [type, value] = [q.tensorType, v.tensorType];
    if (type === undefined) return [];
    const [batch, heads, length] = type.shape ?? [];
    const keys = k.tensorType?.shape?.[2];
    const width = value?.shape?.[3];
    const known = batch !== undefined && heads !== undefined && length !== undefined;
    for (const body of [score_mod, prob_mod]) {
      const [input] = body?.inputs ?? [];
      if (body === undefined || input === undefined) continue;
      const scores = known && keys !== undefined ? [batch, heads, length, keys] : undefined;
      input.type = tensorType(wideType(type.dtype, softmax_precision), scores);
      inferBody(body);
    }
    return [tensorType(type.dtype, known && width !== undefined ? [batch, heads, length, width] : undefined)];
  },
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ in: { q, k, v }, attrs: { prob_mod, score_mod, scale, softmax_precision }, b }) => {
      const wide = wideType(dtypeOf(q), softmax_precision);
      const scores = b.cast(scaledScores(b, q, repeatHeads(b, k, q), scale), wide);
      const weights = b.op("Softmax", [modified(b, score_mod, scores)], { axis: -1 });
      const product = b.matmul(modified(b, prob_mod, weights), b.cast(repeatHeads(b, v, q), wide));
      return [b.castLike(product, q)];
    },
  },
});

function wideType(dtype: DType, code: number): DType {
  return (code === 0 ? undefined : dtypeFromCode(code)) ?? (dtype === "float64" ? "float64" : "float32");
}

function modified(b: OpBuilder, body: Graph | undefined, x: Value): Value {
  if (body === undefined) return x;
  const [result] = inlineBody(b, body, [x]);
  if (result === undefined) throw new InternalError("a body without a result");
  return result;
}
