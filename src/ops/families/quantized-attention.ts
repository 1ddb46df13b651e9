/**
 * Operators that the runtime's quantisers make of fused transformer layers: QAttention and QEmbedLayerNormalization. Each is
 * differentiated as what it is defined by, the float operator on dequantised operands.
 */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dequantize } from "../kernels/dequantize.ts";
import { embedNormalized, inferEmbedded } from "../kernels/embedded.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { attendProjected, inferProjected } from "../kernels/projected-attention.ts";
import { amounts, float, int } from "../params.ts";

/** Attention of com.microsoft whose data and weights are quantised, with a scale for all weights or for each column. */
export const QAttention = defineOp({
  type: "QAttention",
  domain: "com.microsoft",
  versions: [1],
  inputs: [
    ...(["x", "weights", "biases", "xScale", "weightScale"] as const),
    ...(["mask?", "xZero?", "weightZero?", "past?"] as const),
  ],
  outputs: ["y", "present?"],
  attributes: {
    do_rotary: int(0),
    mask_filter_value: float(-10000),
    num_heads: int(0, amounts),
    past_present_share_buffer: int(0),
    scale: float(0),
    unidirectional: int(0),
  },
  infer: ({ in: { x, weights, biases, past }, attrs }) =>
    inferProjected(biases.tensorType?.dtype, { x, weights, past }, attrs),
  evaluate: byExpansion,
  precision: "exact",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs, b }) => {
      if (attrs.past_present_share_buffer !== 0 || attrs.do_rotary !== 0)
        throw operatorErrors.E_OPERATOR_FORM(
          node,
          "a shared buffer or rotary positions inside",
          "buffers of their own, and a node of its own for positions",
        );
      const { biases, mask, past } = operands;
      const x = dequantize(b, operands.x, { scale: operands.xScale, zero: operands.xZero });
      const weights = dequantize(b, operands.weights, {
        scale: operands.weightScale,
        zero: operands.weightZero,
        axis: 1,
      });
      return attendProjected(b, node, { x, weights, biases, mask, past }, attrs);
    },
  },
  quantized: { reads: ["x", "weights"] },
});

/** EmbedLayerNormalization whose tables, gamma and beta are quantised, with one scale and zero point each. */
export const QEmbedLayerNormalization = defineOp({
  type: "QEmbedLayerNormalization",
  domain: "com.microsoft",
  versions: [1],
  inputs: [
    ...(["ids", "segments?", "words", "places", "segmentTable?", "gamma", "beta", "mask?"] as const),
    ...(["wordScale", "placeScale", "segmentScale?", "gammaScale", "betaScale"] as const),
    ...(["wordZero", "placeZero", "segmentZero?", "gammaZero", "betaZero"] as const),
  ],
  outputs: ["y", "lengths"],
  attributes: { epsilon: float(1e-12) },
  infer: ({ in: { ids, words, wordScale } }) =>
    inferEmbedded(wordScale.tensorType?.dtype, ids, words).slice(0, 2),
  evaluate: byExpansion,
  precision: "exact",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs, b }) => {
      const { ids, segments, mask, segmentTable, segmentScale, segmentZero } = operands;
      const real = (numbers: Value, scale: Value, zero: Value): Value =>
        dequantizeAll(b, numbers, scale, zero);
      return embedNormalized(
        b,
        node,
        {
          ids,
          segments,
          mask,
          positions: undefined,
          words: real(operands.words, operands.wordScale, operands.wordZero),
          places: real(operands.places, operands.placeScale, operands.placeZero),
          segmentTable:
            segmentTable === undefined || segmentScale === undefined || segmentZero === undefined
              ? undefined
              : real(segmentTable, segmentScale, segmentZero),
          gamma: real(operands.gamma, operands.gammaScale, operands.gammaZero),
          beta: real(operands.beta, operands.betaScale, operands.betaZero),
        },
        attrs.epsilon,
      ).slice(0, 2);
    },
  },
  quantized: { reads: ["words", "places", "segmentTable", "gamma", "beta"] },
});

function dequantizeAll(b: OpBuilder, numbers: Value, scale: Value, zero: Value): Value {
  return dequantize(b, numbers, { scale: b.reshape(scale, []), zero: b.reshape(zero, []) });
}
