/** RNN, GRU and LSTM over whole sequences: their types, and their equivalent with a Scan. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { type Dim, unknownDim } from "../../ir/dim.ts";
import { Graph } from "../../ir/graph.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../builder.ts";
import { dtypeOf, shapeOf } from "../facts.ts";
import type { Inferred } from "../record.ts";
import { type ActivationOptions, readActivations } from "./recurrent-activation.ts";
import { activationsOf, type Cell, type CellOptions } from "./recurrent-cell.ts";
import { requireOneOf } from "./require-attribute.ts";
import { productOf, reshapeTo, shapeVector, sizeAt } from "./shape-vector.ts";

/** Operands as ONNX orders them; D directions, G gates, H elements of a state. */
export interface RecurrentOperands {
  /** [seq, batch, input], or [batch, seq, input] in layout 1. */
  readonly x: Value;
  /** [D, G*H, input] */
  readonly w: Value;
  /** [D, G*H, H] */
  readonly r: Value;
  /** [D, 2*G*H] */
  readonly bias: Value | undefined;
  /** int32 [batch]: how many steps of each row are no padding. */
  readonly lengths: Value | undefined;
  /** First states, [D, batch, H], or [batch, D, H] in layout 1; zeros where absent. */
  readonly states: readonly (Value | undefined)[];
  /** [D, 3*H] */
  readonly peepholes: Value | undefined;
}

/** Attributes as ONNX names them. */
export interface RecurrentOptions extends ActivationOptions {
  readonly direction: string;
  readonly hidden_size: number | undefined;
  readonly layout: number;
  readonly clip: number | undefined;
  readonly linear_before_reset: number;
  readonly input_forget: number;
}

/** Types of Y [seq, D, batch, H] and of the last states [D, batch, H], with the batch first in layout 1. */
export function inferRecurrent(
  node: Node,
  { x, r }: Pick<RecurrentOperands, "x" | "r">,
  options: RecurrentOptions,
  states: number,
): Inferred[] {
  const type = x.tensorType;
  if (type === undefined) return [];
  const directions = countDirections(node, options);
  const [first = unknownDim(), second = unknownDim()] = type.shape ?? [];
  const [length, batch] = options.layout === 0 ? [first, second] : [second, first];
  const hidden = hiddenOf(node, r, options);
  const [whole, last]: Dim[][] =
    options.layout === 0
      ? [
          [length, directions, batch, hidden],
          [directions, batch, hidden],
        ]
      : [
          [batch, length, directions, hidden],
          [batch, directions, hidden],
        ];
  const ends = Array.from({ length: states }, () => tensorType(type.dtype, last));
  return [tensorType(type.dtype, whole), ...ends];
}

/**
 * Writes the node with other operators: one product for what the input gives to all steps, and a Scan for each
 * direction. Steps of padding read zeros, leave the states alone and give zeros; a row without steps ends in zeros, as
 * in the runtime.
 *
 * @returns Y where `wantsAll` is set, and the last states.
 */
export function expandRecurrent(
  b: OpBuilder,
  node: Node,
  cell: Cell,
  operands: RecurrentOperands,
  options: RecurrentOptions,
  wantsAll: boolean,
): (Value | null)[] {
  const { layout } = options;
  const directions = countDirections(node, options);
  const activations = readActivations(node, options, cell.defaults, directions);
  const hidden = hiddenOf(node, operands.r, options);
  if (typeof hidden !== "number") throw operatorErrors.E_UNKNOWN_SIZE(node, "the size of its states");
  const timeFirst = (value: Value): Value => (layout === 0 ? value : b.transpose(value, [1, 0, 2]));
  const given = timeFirst(operands.x);
  const mask = operands.lengths === undefined ? undefined : maskOf(b, given, operands.lengths);
  const x = mask === undefined ? given : b.where(mask.steps, given, 0);
  const perDirection = (value: Value | undefined): (Value | undefined)[] =>
    value === undefined ? [] : splitDirections(b, value, directions);
  const [w, r, bias, peepholes] = [operands.w, operands.r, operands.bias, operands.peepholes].map(
    perDirection,
  );
  const starts = Array.from({ length: cell.states }, (_, at) => {
    const state = operands.states[at];
    return perDirection(state && timeFirst(state));
  });
  const zeros = (): Value => b.expand(b.scalar(0, dtypeOf(x)), shapeVector(b, [sizeAt(x, 1), hidden]));

  const runs = Array.from({ length: directions }, (_, at) => {
    const shape: CellOptions = { ...options, hidden, activations: activationsOf(cell, activations, at) };
    const [weights, recurrent] = [w?.[at], r?.[at]];
    if (weights === undefined || recurrent === undefined)
      throw operatorErrors.E_BAD_ATTRIBUTE(node, "direction", "weights of each direction", "fewer");
    const [wb, rb] = splitBiases(b, bias?.[at], cell.gates * hidden);
    const joined = cell.joinsBiases(shape);
    const projected = project(b, x, weights, wb && rb && joined ? b.add(wb, rb) : wb, cell.gates * hidden);
    const step = cell.prepare(b, { r: recurrent, rb: joined ? undefined : rb, p: peepholes?.[at] }, shape);
    const reverse = options.direction === "reverse" || at === 1;
    const initial = starts.map((states) => {
      const state = states[at];
      if (state === undefined) return zeros();
      return mask === undefined ? state : b.where(mask.rows, state, 0);
    });
    return scan(b, { projected, mask: mask?.steps, initial, reverse, wantsAll }, step);
  });

  const ends = Array.from({ length: cell.states }, (_, at) => {
    const last = runs.map(({ states }) => states[at]).filter((state) => state !== undefined);
    const stacked = joinDirections(b, last, 0);
    return layout === 0 ? stacked : b.transpose(stacked, [1, 0, 2]);
  });
  const all = runs.map(({ results }) => results).filter((result) => result !== undefined);
  if (all.length === 0) return [null, ...ends];
  const y = joinDirections(b, all, 1);
  return [layout === 0 ? y : b.transpose(y, [2, 0, 1, 3]), ...ends];
}

/** What one direction runs over. */
interface Sequence {
  /** [seq, batch, G*H] */
  readonly projected: Value;
  /** [seq, batch, 1], false at padding. */
  readonly mask: Value | undefined;
  readonly initial: readonly Value[];
  readonly reverse: boolean;
  readonly wantsAll: boolean;
}

/** Runs steps over a sequence; the results of all steps stand in the order of the sequence. */
function scan(
  b: OpBuilder,
  { projected, mask, initial, reverse, wantsAll }: Sequence,
  step: (b: OpBuilder, x: Value, states: readonly Value[]) => readonly Value[],
): { readonly states: readonly Value[]; readonly results: Value | undefined } {
  const body = new Graph("step");
  const inner = new OpBuilder({ graph: body }, b.opset);
  const slice = (value: Value): Value =>
    body.addInput({ name: "slice", type: tensorType(dtypeOf(value), shapeOf(value).slice(1)) });
  const states = initial.map((value) => body.addInput({ name: "state", type: value.type }));
  const x = slice(projected);
  const keep = mask === undefined ? undefined : slice(mask);
  const next = step(inner, x, states);
  const kept = next.map((state, at) =>
    keep === undefined ? state : inner.where(keep, state, states[at] ?? state),
  );
  for (const state of kept) body.addOutput(state);
  const [result] = next;
  // A result of its own: no output of a body may stand twice.
  if (wantsAll && result !== undefined)
    body.addOutput(keep === undefined ? inner.op("Identity", [result]) : inner.where(keep, result, 0));
  const scanned = mask === undefined ? [projected] : [projected, mask];
  const outputs = b.ops(
    "Scan",
    [...initial, ...scanned],
    {
      body,
      num_scan_inputs: scanned.length,
      ...(reverse && {
        scan_input_directions: scanned.map(() => 1),
        ...(wantsAll && { scan_output_directions: [1] }),
      }),
    },
    initial.length + (wantsAll ? 1 : 0),
  );
  const ends = outputs.slice(0, initial.length);
  return { states: ends, results: outputs[initial.length] };
}

/** Which steps of which rows are no padding, [seq, batch, 1], and which rows have any, [batch, 1]. */
function maskOf(b: OpBuilder, x: Value, lengths: Value): { readonly steps: Value; readonly rows: Value } {
  const counts = b.unsqueeze(b.cast(lengths, "int64"), [1]);
  const steps = b.op("Range", [b.int(0), b.dim(x, 0), b.int(1)]);
  return { steps: b.less(b.unsqueeze(steps, [1, 2]), counts), rows: b.greater(counts, 0) };
}

/** `x w^T + bias` of all steps at once, [seq, batch, size]. */
function project(b: OpBuilder, x: Value, w: Value, bias: Value | undefined, size: number): Value {
  const [length, batch, width] = [sizeAt(x, 0), sizeAt(x, 1), sizeAt(x, 2)];
  const rows = reshapeTo(b, x, [
    productOf([length, batch]),
    typeof width === "number" ? width : sizeAt(w, 1),
  ]);
  const product = b.op("Gemm", [rows, w, bias ?? null], { transB: 1 });
  return reshapeTo(b, product, [length, batch, size]);
}

/** Biases of the input and of the states. */
function splitBiases(b: OpBuilder, bias: Value | undefined, size: number): (Value | undefined)[] {
  return bias === undefined ? [] : b.ops("Split", [bias, b.ints([size, size])], { axis: 0 }, 2);
}

function splitDirections(b: OpBuilder, value: Value, directions: number): Value[] {
  if (directions === 1) return [b.squeeze(value, [0])];
  return b.ops("Split", [value, b.ints([1, 1])], { axis: 0 }, 2).map((part) => b.squeeze(part, [0]));
}

function joinDirections(b: OpBuilder, parts: readonly Value[], axis: number): Value {
  return b.concat(
    parts.map((part) => b.unsqueeze(part, [axis])),
    axis,
  );
}

function countDirections(node: Node, { direction }: RecurrentOptions): number {
  requireOneOf(node, "direction", direction, ["forward", "reverse", "bidirectional"]);
  return direction === "bidirectional" ? 2 : 1;
}

/** Elements of a state: what the attribute says, or the weights. */
function hiddenOf(node: Node, r: Value, { hidden_size }: RecurrentOptions): Dim {
  const columns = r.tensorType?.shape?.[2];
  if (hidden_size === undefined) return columns ?? unknownDim();
  if (typeof columns !== "number" || columns === hidden_size) return hidden_size;
  throw operatorErrors.E_BAD_ATTRIBUTE(
    node,
    "hidden_size",
    `${columns}, as in the weights`,
    `${hidden_size}`,
  );
}
