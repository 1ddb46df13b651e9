/**
 * Sequences of tensors: made, read, changed and measured. Their gradients are sequences of the same length. Mixed
 * precision keeps them in float32, since all their tensors have one type.
 */

import { dtypeFromCode } from "../../ir/dtype.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp, zero } from "../define.ts";
import { dtypeOf } from "../facts.ts";
import { meetTypes } from "../kernels/body-types.ts";
import { zeroCotangent } from "../kernels/cotangent.ts";
import { elementType, isEmptySequence, sequenceType, takenType } from "../kernels/sequence-types.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { int } from "../params.ts";
import { itemsOf, SequenceArray } from "../sequence-array.ts";

export const SequenceEmpty = defineOp({
  type: "SequenceEmpty",
  versions: [11],
  inputs: [],
  outputs: ["output"],
  attributes: { dtype: int(1) },
  infer: ({ attrs }) => [sequenceType(tensorType(dtypeFromCode(attrs.dtype) ?? "float32"))],
  evaluate: ({ attrs }) => [new SequenceArray(dtypeFromCode(attrs.dtype) ?? "float32", [])],
  precision: "full",
  gradient: zero("there is no operand, and the sequence is empty"),
});

export const SequenceConstruct = defineOp({
  type: "SequenceConstruct",
  versions: [11],
  inputs: ["xs..."],
  outputs: ["sequence"],
  attributes: {},
  infer: ({ in: { xs } }) => {
    const [first, ...rest] = xs.map(({ type }) => type);
    const element = rest.reduce((left, right) => left && right && meetTypes(left, right), first);
    return [element?.kind === "tensor" ? sequenceType(element) : undefined];
  },
  evaluate: ({ in: { xs } }) => [new SequenceArray(xs[0]?.dtype ?? "float32", xs)],
  precision: "full",
  gradient: ({ grad, b }) => ({ xs: (index) => b.op("SequenceAt", [grad.sequence, b.int(index)]) }),
});

export const SequenceLength = defineOp({
  type: "SequenceLength",
  versions: [11],
  inputs: ["sequence"],
  outputs: ["length"],
  attributes: {},
  infer: () => [tensorType("int64", [])],
  evaluate: ({ in: { sequence } }) => [fromNumbers("int64", [], [itemsOf(sequence).length])],
  precision: "full",
  gradient: zero("a length is a whole number"),
});

export const SequenceAt = defineOp({
  type: "SequenceAt",
  versions: [11],
  inputs: ["sequence", "position"],
  ranks: { position: [0, 1] },
  outputs: ["tensor"],
  attributes: {},
  infer: ({ in: { sequence } }) => [takenType(sequence)],
  evaluate: ({ in: { sequence, position } }) => {
    const items = itemsOf(sequence);
    return [items[placeIn(items, position)] ?? null];
  },
  precision: "full",
  // Zeros, but for the element that was read.
  gradient: ({ in: { sequence, position }, grad, b }) => ({
    sequence: () => {
      const rest = b.op("SequenceErase", [zeroCotangent(b, sequence), position]);
      return b.op("SequenceInsert", [rest, grad.tensor, fromStart(b, position, sequence)]);
    },
  }),
  hostInputs: ["position"],
});

export const SequenceInsert = defineOp({
  type: "SequenceInsert",
  versions: [11],
  inputs: ["sequence", "tensor", "position?"],
  ranks: { position: [0, 1] },
  outputs: ["output"],
  attributes: {},
  infer: ({ in: { sequence, tensor } }) => {
    const before = isEmptySequence(sequence) ? undefined : elementType(sequence.type);
    const element = before === undefined ? tensor.type : meetTypes(before, tensor.type);
    return [element?.kind === "tensor" ? sequenceType(element) : undefined];
  },
  evaluate: ({ in: { sequence, tensor, position } }) => {
    const items = itemsOf(sequence);
    const at = position === undefined ? items.length : placeIn(items, position);
    return [new SequenceArray(tensor.dtype, items.toSpliced(at, 0, tensor))];
  },
  precision: "full",
  // Before the place that counts from the end of what was shorter by one.
  gradient: ({ in: { position }, grad, b }) => {
    const place = (): Value => {
      if (position === undefined) return b.int(-1);
      return b.where(b.less(position, 0), b.sub(position, 1), position);
    };
    return {
      sequence: () => b.op("SequenceErase", [grad.output, place()]),
      tensor: () => b.op("SequenceAt", [grad.output, place()]),
    };
  },
  hostInputs: ["position"],
});

export const SequenceErase = defineOp({
  type: "SequenceErase",
  versions: [11],
  inputs: ["sequence", "position?"],
  ranks: { position: [0, 1] },
  outputs: ["output"],
  attributes: {},
  infer: ({ in: { sequence } }) => [sequence.type],
  evaluate: ({ in: { sequence, position } }) => {
    const items = itemsOf(sequence);
    const at = position === undefined ? items.length - 1 : placeIn(items, position);
    return [new SequenceArray(sequence.dtype, items.toSpliced(at, 1))];
  },
  precision: "full",
  gradient: ({ in: { sequence, position }, grad, b }) => ({
    sequence: () => {
      const erased = b.op("SequenceAt", [sequence, position ?? b.int(-1)]);
      const place = position === undefined ? null : fromStart(b, position, sequence);
      return b.op("SequenceInsert", [grad.output, b.zerosLike(erased), place]);
    },
  }),
  hostInputs: ["position"],
});

/** A position that may count from the end of a sequence, counted from its start. */
function fromStart(b: OpBuilder, position: Value, sequence: Value): Value {
  const length = b.cast(b.op("SequenceLength", [sequence]), dtypeOf(position));
  return b.where(b.less(position, 0), b.add(position, length), position);
}

function placeIn(items: readonly NDArray[], position: NDArray): number {
  const at = position.toNumbers()[0] ?? 0;
  return at < 0 ? at + items.length : at;
}
