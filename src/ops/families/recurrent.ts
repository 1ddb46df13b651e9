/** RNN, GRU and LSTM: networks that read a sequence step by step. */
import { type Dim, mulDims } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { expandRecurrent, inferRecurrent, type RecurrentOptions } from "../kernels/recurrent.ts";
import { type Cell, gatedCell, memoryCell, plainCell } from "../kernels/recurrent-cell.ts";
import { requireShape } from "../kernels/require-shape.ts";
import { counts, floats, int, maybeFloat, maybeInt, text, texts } from "../params.ts";
import type { Inferred } from "../record.ts";

const common = {
  activations: texts(),
  activation_alpha: floats(),
  activation_beta: floats(),
  clip: maybeFloat(),
  direction: text("forward"),
  hidden_size: maybeInt(counts),
  layout: int(0, { least: 0, most: 1 }),
};

export const RNN = defineOp({
  type: "RNN",
  versions: [1, 7, 14, 22],
  inputs: ["x", "w", "r", "b?", "lengths?", "h?"],
  ranks: { x: 3, w: 3, r: 3, b: 2, lengths: 1, h: 3 },
  outputs: ["y?", "yh?"],
  attributes: common,
  infer: ({ node, in: operands, attrs }) => infer(node, operands, complete(attrs), { gates: 1, states: 1 }),
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
  ranks: { x: 3, w: 3, r: 3, b: 2, lengths: 1, h: 3 },
  outputs: ["y?", "yh?"],
  attributes: { ...common, linear_before_reset: int(0) },
  infer: ({ node, in: operands, attrs }) => infer(node, operands, complete(attrs), { gates: 3, states: 1 }),
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
  ranks: { x: 3, w: 3, r: 3, b: 2, lengths: 1, h: 3, c: 3, p: 2 },
  outputs: ["y?", "yh?", "yc?"],
  attributes: { ...common, input_forget: int(0) },
  infer: ({ node, in: operands, attrs }) => infer(node, operands, complete(attrs), { gates: 4, states: 2 }),
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

/** Types of the results, once the operands are known to fit each other. */
function infer(
  node: Node,
  { x, w, r, b, lengths, h, c, p }: Operands,
  options: RecurrentOptions,
  { gates, states }: { readonly gates: number; readonly states: number },
): Inferred[] {
  const results = inferRecurrent(node, { x, r }, options, states);
  const state =
    results[1] !== undefined && "kind" in results[1] && results[1].kind === "tensor" ? results[1] : undefined;
  const [first, second] = state?.shape ?? [];
  const [directions, batch] = options.layout === 0 ? [first, second] : [second, first];
  const hidden = state?.shape?.[2];
  const times = (count: number): Dim | undefined => hidden && mulDims(hidden, count);
  requireShape(node, "w", w, [directions, times(gates), x.tensorType?.shape?.[2]]);
  requireShape(node, "r", r, [directions, times(gates), hidden]);
  requireShape(node, "b", b, [directions, times(2 * gates)]);
  requireShape(node, "lengths", lengths, [batch]);
  requireShape(node, "h", h, state?.shape);
  requireShape(node, "c", c, state?.shape);
  requireShape(node, "p", p, [directions, times(3)]);
  return results;
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
