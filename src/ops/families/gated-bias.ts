/** GatedRelativePositionBias of com.microsoft: the bias of WavLM's attention, scaled by gates that its queries open. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { unknownDim } from "../../ir/dim.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { splitHeads } from "../kernels/heads.ts";
import { amounts, int } from "../params.ts";

/**
 * With `q = heads(query + queryBias)` and `u, r = sigmoid` of the sums of both halves of `q weight + bias`:
 * `(u (r scale - 1) + 2) relative`, where `relative` is (1, heads, length, length) and `scale` (1, heads, 1, 1).
 */
export const GatedRelativePositionBias = defineOp({
  type: "GatedRelativePositionBias",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["query", "queryBias", "relative", "weight", "bias", "scale", "offsets?"],
  outputs: ["y"],
  attributes: { num_heads: int(0, amounts) },
  infer: ({ in: { query, relative, offsets }, attrs: { num_heads } }) => {
    const dtype = query.tensorType?.dtype;
    const batch = offsets === undefined ? query.tensorType?.shape?.[0] : offsets.tensorType?.shape?.[0];
    const [, , rows, columns] = relative.tensorType?.shape ?? [];
    const shape = [batch, num_heads, rows, columns].map((dim) => dim ?? unknownDim());
    return [dtype && tensorType(dtype, shape)];
  },
  evaluate: byExpansion,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { query, queryBias, relative, weight, bias, scale, offsets }, attrs, b }) => {
      if (offsets !== undefined)
        throw operatorErrors.E_OPERATOR_FORM(
          node,
          "queries without padding (token_offset)",
          "padded queries",
        );
      const heads = splitHeads(b, b.add(query, queryBias), attrs.num_heads);
      const sums = b.add(b.matmul(heads, weight), bias);
      const halves = b.reduceSum(b.reshape(sums, [0, 0, 0, 2, -1]), [4], false);
      const gates = b.node("Split", [b.op("Sigmoid", [halves])], { axis: 3, num_outputs: 2 }, { outputs: 2 });
      const [update, reset] = [gates.output(0), gates.output(1)];
      const gate = b.add(b.mul(update, b.sub(b.mul(reset, scale), 1)), 2);
      return [b.mul(gate, relative)];
    },
  },
});
