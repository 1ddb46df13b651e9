/** One step of RNN, GRU and LSTM, as nodes. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf } from "../facts.ts";
import type { Activation } from "./recurrent-activation.ts";

/** Weights of one direction as the steps read them. */
export interface CellWeights {
  /** Recurrent weights, [gates*hidden, hidden]. */
  readonly r: Value;
  /** Biases beside them, [gates*hidden], where there are any. */
  readonly rb: Value | undefined;
  /** Peephole weights of an LSTM, [3*hidden]: input, output, forget. */
  readonly p: Value | undefined;
}

/** Attributes that change the formula of a step. */
export interface CellOptions {
  /** Elements of a state. */
  readonly hidden: number;
  readonly activations: readonly Activation[];
  /** Bound of what goes into activations. */
  readonly clip: number | undefined;
  readonly linear_before_reset: number;
  readonly input_forget: number;
}

/** A step: `x` is what the input gives to all gates, [batch, gates*hidden]; the first state is the result. */
export type Step = (b: OpBuilder, x: Value, states: readonly Value[]) => readonly Value[];

/** What differs between the three operators. */
export interface Cell {
  /** Blocks of rows in the weights. */
  readonly gates: number;
  readonly states: number;
  /** Activations of one direction where the node names none. */
  readonly defaults: readonly string[];
  /** Whether the recurrent biases can be added to what the input gives, before the first step. */
  readonly joinsBiases: (options: CellOptions) => boolean;
  /** Prepares what all steps share at `b`, and gives the step. */
  readonly prepare: (b: OpBuilder, weights: CellWeights, options: CellOptions) => Step;
}

/** `h' = f(x + R h)`. */
export const plainCell: Cell = {
  gates: 1,
  states: 1,
  defaults: ["Tanh"],
  joinsBiases: () => true,
  prepare:
    (_, { r }, options) =>
    (b, x, [h = x]) => [activate(b, options, 0, recur(b, h, r, x))],
};

/**
 * `z = f(x_z + R_z h)`, `r = f(x_r + R_r h)`, `h' = (1 - z) n + z h` with `n = g(x_n + R_n (r h))`, or where
 * linear_before_reset is set `n = g(x_n + r (R_n h + b))`.
 */
export const gatedCell: Cell = {
  gates: 3,
  states: 1,
  defaults: ["Sigmoid", "Tanh"],
  joinsBiases: ({ linear_before_reset }) => linear_before_reset === 0,
  prepare: (outer, { r, rb }, options) => {
    const split = (b: OpBuilder, value: Value, parts: readonly number[], axis: number): Value[] =>
      splitStates(b, value, parts, axis, options);
    const linear = options.linear_before_reset !== 0;
    const [gates = r, rn = r] = split(outer, r, [2, 1], 0);
    const [early, late] = rb === undefined ? [] : split(outer, rb, [2, 1], 0);
    return (b, x, [h = x]) => {
      const [xGates = x, xn = x] = split(b, x, [2, 1], 1);
      const input = linear && early !== undefined ? b.add(xGates, early) : xGates;
      const both = activate(b, options, 0, recur(b, h, gates, input));
      const [z = both, reset = both] = split(b, both, [1, 1], 1);
      const before = linear
        ? b.add(xn, b.mul(reset, recur(b, h, rn, late)))
        : recur(b, b.mul(reset, h), rn, xn);
      const n = activate(b, options, 1, before);
      return [b.add(b.mul(b.sub(1, z), n), b.mul(z, h))];
    };
  },
};

/**
 * Gates i, o, f and candidate c of `x + R h`, peepholes `p c` added to i and f before the new cell
 * `c' = f c + i g(c)`, and to o after it; `h' = o h(c')`. Where input_forget is set, `f = 1 - i`. Nothing is clipped before the
 * last activation, as in the runtime, though ONNX says that the inputs of all activations are.
 */
export const memoryCell: Cell = {
  gates: 4,
  states: 2,
  defaults: ["Sigmoid", "Tanh", "Tanh"],
  joinsBiases: () => true,
  prepare: (outer, { r, p }, options) => {
    const [pi, po, pf] = p === undefined ? [] : splitStates(outer, p, [1, 1, 1], 0, options);
    const peep = (b: OpBuilder, gate: Value, weight: Value | undefined, c: Value): Value =>
      weight === undefined ? gate : b.add(gate, b.mul(weight, c));
    return (b, x, [h = x, c = x]) => {
      const all = recur(b, h, r, x);
      const [xi = all, xo = all, xf = all, xc = all] = splitStates(b, all, [1, 1, 1, 1], 1, options);
      const i = activate(b, options, 0, peep(b, xi, pi, c));
      const f = options.input_forget === 0 ? activate(b, options, 0, peep(b, xf, pf, c)) : b.sub(1, i);
      const next = b.add(b.mul(f, c), b.mul(i, activate(b, options, 1, xc)));
      const o = activate(b, options, 0, peep(b, xo, po, next));
      const [, , last] = options.activations;
      return [b.mul(o, last?.(b, next) ?? next), next];
    };
  },
};

/** Rows of all directions in the order of the attribute: how many activations one has. */
export function activationsOf(
  cell: Cell,
  activations: readonly Activation[],
  direction: number,
): readonly Activation[] {
  const count = cell.defaults.length;
  return activations.slice(direction * count, (direction + 1) * count);
}

/** `h r^T + added` in one product. */
function recur(b: OpBuilder, h: Value, r: Value, added: Value | undefined): Value {
  return b.op("Gemm", [h, r, added ?? null], { transB: 1 });
}

/** Parts along an axis, each of so many states. */
function splitStates(
  b: OpBuilder,
  x: Value,
  parts: readonly number[],
  axis: number,
  { hidden }: CellOptions,
): Value[] {
  return b.ops("Split", [x, b.ints(parts.map((part) => part * hidden))], { axis }, parts.length);
}

function activate(b: OpBuilder, { activations, clip }: CellOptions, index: number, x: Value): Value {
  const dtype = dtypeOf(x);
  const bounded = clip === undefined ? x : b.op("Clip", [x, b.scalar(-clip, dtype), b.scalar(clip, dtype)]);
  return activations[index]?.(b, bounded) ?? bounded;
}
