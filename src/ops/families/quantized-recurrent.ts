/** DynamicQuantizeLSTM of com.microsoft, which the runtime's quantisers make of LSTM. */
import { unknownDim } from "../../ir/dim.ts";
import { type TensorType, tensorType } from "../../ir/type.ts";
import { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { realNumbers } from "../kernels/quantize-gradient.ts";
import { expandRecurrent, inferRecurrent } from "../kernels/recurrent.ts";
import { memoryCell } from "../kernels/recurrent-cell.ts";
import { counts, floats, int, maybeFloat, maybeInt, text, texts } from "../params.ts";

/**
 * LSTM with whole numbers for weights, `w` (directions, input, 4 hidden) and `r` (directions, hidden, 4 hidden): transposed
 * against LSTM's. Scales and zero points are of a direction, or of each of its columns. The kernel rounds data and states to
 * 8 bits by their own range, too; value and gradient here are those of exact data.
 */
export const DynamicQuantizeLSTM = defineOp({
  type: "DynamicQuantizeLSTM",
  domain: "com.microsoft",
  versions: [1],
  inputs: [
    ...(["x", "w", "r", "b?", "lengths?", "h?", "c?", "p?"] as const),
    ...(["wScale", "wZero", "rScale", "rZero"] as const),
  ],
  outputs: ["y?", "yh?", "yc?"],
  attributes: {
    activations: texts(),
    activation_alpha: floats(),
    activation_beta: floats(),
    clip: maybeFloat(),
    direction: text("forward"),
    hidden_size: maybeInt(counts),
    input_forget: int(0),
  },
  infer: ({ node, in: { x, r }, attrs }) =>
    inferRecurrent(node, { x, r: new Value({ type: transposed(r.tensorType) }) }, complete(attrs), 2),
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs, b }) => {
      const { x, b: bias, lengths, h, c, p: peepholes } = operands;
      const w = realWeights(b, operands.w, operands.wScale, operands.wZero);
      const r = realWeights(b, operands.r, operands.rScale, operands.rZero);
      const given = { x, w, r, bias, lengths, states: [h, c], peepholes };
      const wantsAll = node.outputs[0] != null;
      const results = expandRecurrent(b, node, memoryCell, given, complete(attrs), wantsAll);
      return node.outputs.map((output, index) => (output === null ? null : (results[index] ?? null)));
    },
  },
  hostInputs: ["lengths"],
  quantized: { reads: ["w", "r"] },
});

function complete<A extends object>(
  attrs: A,
): A & { readonly layout: number; readonly linear_before_reset: number } {
  return { ...attrs, layout: 0, linear_before_reset: 0 };
}

function transposed(type: TensorType | undefined): TensorType | undefined {
  const [directions, rows, columns] = type?.shape ?? [];
  return (
    type &&
    tensorType(
      type.dtype,
      [directions, columns, rows].map((dim) => dim ?? unknownDim()),
    )
  );
}

/** Weights as floats, in the order of LSTM. */
function realWeights(b: OpBuilder, numbers: Value, scale: Value, zero: Value): Value {
  const aligned = (value: Value): Value => b.unsqueeze(value, rankOf(value) === 2 ? [1] : [1, 2]);
  const shifted = b.sub(realNumbers(b, numbers), aligned(realNumbers(b, zero)));
  return b.transpose(b.mul(shifted, aligned(scale)), [0, 2, 1]);
}
