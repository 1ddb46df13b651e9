/** Attention of com.microsoft, whose weights for queries, keys and values are one matrix. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { defineOp } from "../define.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { attendProjected, inferProjected } from "../kernels/projected-attention.ts";
import { amounts, counts, float, int, ints } from "../params.ts";

export const RuntimeAttention = defineOp({
  type: "Attention",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["x", "weights", "biases?", "mask?", "past?", "bias?", "pastLength?"],
  ranks: { x: 3, weights: 2, biases: 1, past: 5, bias: 4 },
  outputs: ["y", "present?"],
  attributes: {
    do_rotary: int(0),
    mask_filter_value: float(-10000),
    num_heads: int(0, amounts),
    past_present_share_buffer: int(0),
    qkv_hidden_sizes: ints(counts),
    rotary_embedding_dim: int(0, amounts),
    scale: float(0),
    unidirectional: int(0),
  },
  infer: ({ in: { x, weights, past }, attrs }) =>
    inferProjected(x.tensorType?.dtype, { x, weights, past }, attrs),
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, weights, biases, mask, past, bias, pastLength }, attrs, b }) => {
      if (attrs.past_present_share_buffer !== 0 || pastLength !== undefined)
        throw operatorErrors.E_OPERATOR_FORM(
          node,
          "a past and present in one buffer",
          "buffers of their own",
        );
      if (attrs.do_rotary !== 0)
        throw operatorErrors.E_OPERATOR_FORM(node, "rotary positions inside", "a node of its own for them");
      return attendProjected(b, node, { x, weights, biases, mask, past, bias }, attrs);
    },
  },
});
