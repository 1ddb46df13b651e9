/** Sequences as the slices of a tensor along one axis: ConcatFromSequence and SplitToSequence. */
import { unknownDim } from "../../ir/dim.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { mapSequence } from "../kernels/map-sequence.ts";
import { concatenate, countUp, pickAlongAxes } from "../kernels/rearrange.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { sequenceType, takenType } from "../kernels/sequence-types.ts";
import { int } from "../params.ts";
import { itemsOf, SequenceArray } from "../sequence-array.ts";

export const ConcatFromSequence = defineOp({
  type: "ConcatFromSequence",
  versions: [11],
  inputs: ["sequence"],
  outputs: ["result"],
  attributes: { axis: int(0), new_axis: int(0) },
  infer: ({ node, in: { sequence }, attrs: { axis, new_axis } }) => {
    const element = takenType(sequence);
    const shape = element?.shape;
    if (element === undefined || shape === undefined) return [element];
    const at = axisOf(node, axis, shape.length + new_axis);
    return [tensorType(element.dtype, shape.toSpliced(at, new_axis === 1 ? 0 : 1, unknownDim()))];
  },
  evaluate: ({ node, in: { sequence }, attrs: { axis, new_axis } }) => {
    const items = itemsOf(sequence);
    const at = axisOf(node, axis, (items[0]?.rank ?? 0) + new_axis);
    const parts = items.map((item) =>
      new_axis === 1 ? item.reshaped(item.shape.toSpliced(at, 0, 1)) : item,
    );
    return [concatenate(parts, at)];
  },
  precision: "full",
  gradient: ({ in: { sequence }, attrs: { axis, new_axis }, grad, b }) => ({
    sequence: () => {
      if (new_axis === 1) return b.op("SplitToSequence", [grad.result], { axis, keepdims: 0 });
      return b.op("SplitToSequence", [grad.result, sizesAlong(b, sequence, axis)], { axis });
    },
  }),
});

export const SplitToSequence = defineOp({
  type: "SplitToSequence",
  versions: [11, 24],
  inputs: ["x", "split?"],
  ranks: { x: [1], split: [0, 1] },
  outputs: ["sequence"],
  attributes: { axis: int(0), keepdims: int(1) },
  infer: ({ node, in: { x, split }, attrs: { axis, keepdims } }) => {
    const type = x.tensorType;
    if (type?.shape === undefined) return [type && sequenceType(type)];
    const at = axisOf(node, axis, type.shape.length);
    const drops = dropsAxis(keepdims, split, split?.tensorType?.shape?.length);
    if (drops === undefined) return [sequenceType(tensorType(type.dtype))];
    const length = split === undefined ? 1 : unknownDim();
    return [sequenceType(tensorType(type.dtype, type.shape.toSpliced(at, 1, ...(drops ? [] : [length]))))];
  },
  evaluate: ({ node, in: { x, split }, attrs: { axis, keepdims } }) => {
    const at = axisOf(node, axis, x.rank);
    const length = x.shape[at] ?? 0;
    const items = sizesOf(length, split?.toNumbers(), split?.rank).map(({ start, size }) => {
      const picks = x.shape.map((dim, other) => countUp(other === at ? size : dim));
      const piece = pickAlongAxes(
        x,
        picks.with(
          at,
          countUp(size).map((index) => index + start),
        ),
      );
      return dropsAxis(keepdims, split, split?.rank) === true
        ? piece.reshaped(piece.shape.toSpliced(at, 1))
        : piece;
    });
    return [new SequenceArray(x.dtype, items)];
  },
  precision: "full",
  gradient: ({ in: { split }, attrs: { axis, keepdims }, grad, b }) => ({
    x: () =>
      b.op("ConcatFromSequence", [grad.sequence], {
        axis,
        new_axis: dropsAxis(keepdims, split, split?.tensorType?.shape?.length) === true ? 1 : 0,
      }),
  }),
  hostInputs: ["split"],
});

/**
 * Whether elements lack the axis. ONNX has `keepdims` ignored wherever there is a `split`; the runtime ignores it for a list of sizes
 * only, and PyTorch's exporter writes `unbind` with a `split` of one number, 1. Undefined where the rank of `split` is not known.
 */
function dropsAxis(keepdims: number, split: unknown, rank: number | undefined): boolean | undefined {
  if (keepdims !== 0) return false;
  if (split === undefined) return true;
  return rank === undefined ? undefined : rank === 0;
}

/** Sizes of all elements of a sequence along an axis, as a vector. */
function sizesAlong(b: OpBuilder, sequence: Value, axis: number): Value {
  const end = axis === -1 ? undefined : axis + 1;
  const sizes = mapSequence(b, sequence, (inner, element) =>
    inner.op("Shape", [element], { start: axis, end }),
  );
  return b.op("ConcatFromSequence", [sizes], { axis: 0 });
}

/** Where pieces start and how long they are: one each, equal ones with a smaller last, or as listed. */
function sizesOf(
  length: number,
  split: readonly number[] | undefined,
  rank: number | undefined,
): { start: number; size: number }[] {
  if (rank === 1 && split !== undefined) {
    let end = 0;
    return split.map((size) => {
      end += size;
      return { start: end - size, size };
    });
  }
  const size = split?.[0] ?? 1;
  return countUp(Math.ceil(length / size)).map((piece) => ({
    start: piece * size,
    size: Math.min(size, length - piece * size),
  }));
}
