/** Layers of torch.nn from which methods make their tensors: parameters under PyTorch's names, and what the layer computes. */
import type { ParameterSpec } from "../../../src/adapt/define.ts";
import type { DeriveTools } from "../../../src/adapt/define-structure.ts";
import { type Initializer, uniform } from "../../../src/adapt/initializers.ts";
import { InternalError } from "../../../src/diagnostics/define.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";
import { dimOf } from "../../../src/ops/facts.ts";

type Specs = Readonly<Record<string, ParameterSpec>>;
type Params = Readonly<Record<string, Value>>;

/** A tensor that the method declared. */
export function need(params: Params, name: string): Value {
  const value = params[name];
  if (value === undefined) throw new InternalError(`the method has no tensor "${name}"`);
  return value;
}

/** `torch.nn.Linear(inputs, outputs)` under a path, as tensors that checkpoints do not hold. */
export function linearSpecs(
  path: string,
  inputs: number,
  outputs: number,
  init: Initializer = uniform(1 / Math.sqrt(Math.max(1, inputs))),
): Specs {
  return {
    [`${path}.weight`]: { key: `${path}.weight`, shape: [outputs, inputs], init, saved: false },
    [`${path}.bias`]: { key: `${path}.bias`, shape: [outputs], init, saved: false },
  };
}

/** `x W^T + b`. */
export function linear(b: OpBuilder, params: Params, path: string, x: Value): Value {
  const product = b.matmul(x, b.transpose(need(params, `${path}.weight`), [1, 0]));
  return b.add(product, need(params, `${path}.bias`));
}

/** Sizes of a bidirectional `torch.nn.LSTM`. */
export interface LstmSizes {
  readonly inputs: number;
  readonly hidden: number;
  readonly layers: number;
}

const directions = ["", "_reverse"] as const;

/** Its tensors under a path. */
export function lstmSpecs(path: string, { inputs, hidden, layers }: LstmSizes): Specs {
  const init = uniform(1 / Math.sqrt(hidden));
  const specs: Record<string, ParameterSpec> = {};
  for (let layer = 0; layer < layers; layer++) {
    for (const direction of directions) {
      const width = layer === 0 ? inputs : 2 * hidden;
      for (const [name, shape] of [
        ["weight_ih", [4 * hidden, width]],
        ["weight_hh", [4 * hidden, hidden]],
        ["bias_ih", [4 * hidden]],
        ["bias_hh", [4 * hidden]],
      ] as const) {
        const key = `${path}.${name}_l${layer}${direction}`;
        specs[key] = { key, shape, init, saved: false };
      }
    }
  }
  return specs;
}

/**
 * The LSTM over a sequence [length, inputs] as [length, 2 * hidden], step by step: lengths are small and known, and every operator
 * has a gradient. Dropout with probability `p` stands between layers.
 */
export function lstm(
  { b, dropout }: DeriveTools,
  params: Params,
  path: string,
  x: Value,
  { layers, p }: { readonly layers: number; readonly p: number },
): Value {
  const length = fixed(x, 0);
  let sequence = x;
  for (let layer = 0; layer < layers; layer++) {
    const input = layer === 0 ? sequence : dropout(sequence, p);
    const both = directions.map((direction) => {
      const named = (name: string): Value => need(params, `${path}.${name}_l${layer}${direction}`);
      const recurrent = named("weight_hh");
      const fromInput = b.matmul(input, b.transpose(named("weight_ih"), [1, 0]));
      const gates = b.add(fromInput, b.add(named("bias_ih"), named("bias_hh")));
      const order = orderOf(length, direction === "_reverse");
      return pass(b, gates, b.transpose(recurrent, [1, 0]), fixed(recurrent, 1), order);
    });
    sequence = b.concat(both, 1);
  }
  return sequence;
}

function fixed(value: Value, axis: number): number {
  const dim = dimOf(value, axis);
  if (typeof dim !== "number") throw new InternalError("an LSTM of a length that is not known");
  return dim;
}

function orderOf(length: number, reverse: boolean): number[] {
  const steps = Array.from({ length }, (_, i) => i);
  return reverse ? steps.reverse() : steps;
}

/** One direction: states [length, hidden] in the order of the sequence; gates are input, forget, cell, output. */
function pass(b: OpBuilder, gates: Value, recurrent: Value, hidden: number, order: readonly number[]): Value {
  const states: Value[] = [];
  let state: Value | undefined;
  let cell: Value | undefined;
  for (const step of order) {
    const own = b.slice(gates, { starts: [step], ends: [step + 1], axes: [0] });
    const all = state === undefined ? own : b.add(own, b.matmul(state, recurrent));
    const [input, forget, candidate, output] = [0, 1, 2, 3].map((gate) =>
      b.slice(all, { starts: [gate * hidden], ends: [(gate + 1) * hidden], axes: [1] }),
    );
    if (input === undefined || forget === undefined || candidate === undefined || output === undefined)
      throw new InternalError("an LSTM has four gates");
    const fresh: Value = b.mul(b.op("Sigmoid", [input]), b.op("Tanh", [candidate]));
    const kept: Value | undefined = cell === undefined ? undefined : b.mul(b.op("Sigmoid", [forget]), cell);
    cell = kept === undefined ? fresh : b.add(kept, fresh);
    state = b.mul(b.op("Sigmoid", [output]), b.op("Tanh", [cell]));
    states[step] = state;
  }
  return b.concat(states, 0);
}
