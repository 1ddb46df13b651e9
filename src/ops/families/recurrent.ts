/** RNN, GRU and LSTM: networks that read a sequence step by step. */
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { expandRecurrent, inferRecurrent, type RecurrentOptions } from "../kernels/recurrent.ts";
import { type Cell, gatedCell, memoryCell, plainCell } from "../kernels/recurrent-cell.ts";
import { floats, int, maybeFloat, maybeInt, text, texts } from "../params.ts";

const common = {
  activations: texts(),
  activation_alpha: floats(),
  activation_beta: floats(),
  clip: maybeFloat(),
  direction: text("forward"),
  hidden_size: maybeInt(),
  layout: int(0),
};

export const RNN = defineOp({
  type: "RNN",
  versions: [1, 7, 14, 22],
  inputs: ["x", "w", "r", "b?", "lengths?", "h?"],
  outputs: ["y?", "yh?"],
  attributes: common,
  infer: ({ node, in: { x, r }, attrs }) => inferRecurrent(node, { x, r }, complete(attrs), 1),
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs, b }) => expand(b, node, plainCell, operands, complete(attrs)),
  },
  hostInputs: ["lengths"],
});

export const GRU = defineOp({
  type: "GRU",
  versions: [1, 3, 7, 14, 22],
  inputs: ["x", "w", "r", "b?", "lengths?", "h?"],
  outputs: ["y?", "yh?"],
  attributes: { ...common, linear_before_reset: int(0) },
  infer: ({ node, in: { x, r }, attrs }) => inferRecurrent(node, { x, r }, complete(attrs), 1),
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs, b }) => expand(b, node, gatedCell, operands, complete(attrs)),
  },
  hostInputs: ["lengths"],
});

export const LSTM = defineOp({
  type: "LSTM",
  versions: [1, 7, 14, 22],
  inputs: ["x", "w", "r", "b?", "lengths?", "h?", "c?", "p?"],
  outputs: ["y?", "yh?", "yc?"],
  attributes: { ...common, input_forget: int(0) },
  infer: ({ node, in: { x, r }, attrs }) => inferRecurrent(node, { x, r }, complete(attrs), 2),
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ node, in: operands, attrs, b }) => expand(b, node, memoryCell, operands, complete(attrs)),
  },
  hostInputs: ["lengths"],
});

/** Operands of any of the three. */
interface Operands {
  readonly x: Value;
  readonly w: Value;
  readonly r: Value;
  readonly b: Value | undefined;
  readonly lengths: Value | undefined;
  readonly h: Value | undefined;
  readonly c?: Value | undefined;
  readonly p?: Value | undefined;
}

/** Attributes with those that an operator lacks set to what changes nothing. */
function complete(
  attrs: Omit<RecurrentOptions, "linear_before_reset" | "input_forget"> & Partial<RecurrentOptions>,
): RecurrentOptions {
  return { linear_before_reset: 0, input_forget: 0, ...attrs };
}

function expand(
  b: OpBuilder,
  node: Node,
  cell: Cell,
  { x, w, r, b: bias, lengths, h, c, p }: Operands,
  options: RecurrentOptions,
): (Value | null)[] {
  const operands = { x, w, r, bias, lengths, states: [h, c], peepholes: p };
  const results = expandRecurrent(b, node, cell, operands, options, node.outputs[0] != null);
  return node.outputs.map((output, index) => (output === null ? null : (results[index] ?? null)));
}
