/** Operators whose results depend on where elements are true or equal: OneHot, NonZero, Compress, Unique. */
import { type Dim, unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { countElements, unknownShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp, zero } from "../define.ts";
import { rankOf } from "../facts.ts";
import { contentOf } from "../kernels/content.ts";
import { throughFloat32 } from "../kernels/downgrade.ts";
import { positionsOf, putBack } from "../kernels/positions.ts";
import { countUp, pickAlongAxes, takeAt } from "../kernels/rearrange.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { findUnique } from "../kernels/unique.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { int, maybeInt } from "../params.ts";
import type { Inferred } from "../record.ts";

export const OneHot = defineOp({
  type: "OneHot",
  versions: [9, 11, 28],
  downgrades: { 28: throughFloat32(["bfloat16"]) },
  inputs: ["indices", "depth", "values"],
  ranks: { depth: [0, 1], values: 1 },
  outputs: ["y"],
  attributes: { axis: int(-1) },
  infer: ({ node, in: { indices, depth, values }, attrs: { axis } }) => {
    const [from, type] = [indices.tensorType?.shape, values.tensorType];
    if (type === undefined || from === undefined) return [type && tensorType(type.dtype)];
    const at = axisOf(node, axis, from.length + 1);
    return [tensorType(type.dtype, from.toSpliced(at, 0, contentOf(depth)?.[0] ?? unknownDim()))];
  },
  evaluate: ({ node, in: { indices, depth, values }, attrs: { axis } }) => [
    oneHot(indices, depth, values, axisOf(node, axis, indices.rank + 1)),
  ],
  precision: "exact",
  gradient: ({ in: { indices, depth, values }, attrs: { axis }, grad, b }) => ({
    // The indices choose, so that nothing changes with them but at jumps.
    indices: () => b.zerosLike(indices),
    // Two sums, over the places that are off and on.
    values: () => {
      const parts = [
        [1, 0],
        [0, 1],
      ].map(([off = 0, on = 0]) => {
        const flags = b.concat(
          [off, on].map((flag) => b.unsqueeze(b.castLike(b.scalar(flag, "float32"), values), [0])),
          0,
        );
        const places = b.op("OneHot", [indices, depth, flags], { axis });
        return b.unsqueeze(b.reduceSum(b.mul(grad.y, places), undefined, false), [0]);
      });
      return b.concat(parts, 0);
    },
  }),
  hostInputs: ["depth"],
});

export const NonZero = defineOp({
  type: "NonZero",
  versions: [9, 13],
  inputs: ["x"],
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => {
    const rank = x.tensorType?.shape?.length;
    return [tensorType("int64", [rank ?? unknownDim(), unknownDim()])];
  },
  evaluate: ({ in: { x } }) => {
    const found = countUp(x.size).filter((at) => Number(x.data[at]) !== 0);
    const coordinates = x.shape.map((dim, axis) => {
      const inner = countElements(x.shape.slice(axis + 1));
      return found.map((at) => Math.floor(at / inner) % dim);
    });
    return [fromNumbers("int64", [x.rank, found.length], coordinates.flat())];
  },
  precision: "exact",
  gradient: zero("positions do not change with the elements but at jumps"),
});

export const Compress = defineOp({
  type: "Compress",
  versions: [9, 11, 28],
  downgrades: { 28: throughFloat32(["bfloat16"]) },
  inputs: ["x", "condition"],
  ranks: { condition: 1 },
  outputs: ["y"],
  attributes: { axis: maybeInt() },
  infer: ({ node, in: { x }, attrs: { axis } }) => [inferPicked(node, x, axis)],
  evaluate: ({ node, in: { x, condition }, attrs: { axis } }) => {
    const flags = condition.numbers;
    const flat = axis === undefined ? x.reshaped([x.size]) : x;
    const at = axisOf(node, axis ?? 0, flat.rank);
    const picks = flat.shape.map(countUp);
    return [
      pickAlongAxes(
        flat,
        picks.with(
          at,
          (picks[at] ?? []).filter((i) => (flags[i] ?? 0) !== 0),
        ),
      ),
    ];
  },
  precision: "follow",
  gradient: ({ in: { x, condition }, attrs: { axis }, grad, b }) => ({
    x: () => putBack(b, x, grad.y, b.op("Compress", [positionsOf(b, x), condition], { axis }), false),
  }),
});

export const Unique = defineOp({
  type: "Unique",
  versions: [11, 28],
  downgrades: { 28: throughFloat32(["bfloat16"]) },
  inputs: ["x"],
  outputs: ["y", "indices?", "inverse?", "counts?"],
  attributes: { axis: maybeInt(), sorted: int(1) },
  infer: ({ node, in: { x }, attrs: { axis } }) => {
    const all = axis === undefined ? undefined : x.tensorType?.shape?.at(axis);
    const vector = (length: Dim): Inferred => tensorType("int64", [length]);
    const picked = inferPicked(node, x, axis);
    const count = picked?.shape?.at(axis ?? 0) ?? unknownDim();
    return [picked, vector(count), vector(all ?? unknownDim()), vector(count)];
  },
  evaluate: ({ node, in: { x }, attrs: { axis, sorted } }) => [
    ...findUnique(x, axis === undefined ? undefined : axisOf(node, axis, x.rank), sorted !== 0),
  ],
  precision: "exact",
  // Each unique element stands for its first occurrence.
  gradient: ({ in: { x }, attrs: { axis, sorted }, grad, b }) => ({
    x: () => {
      const [, first] = b.ops("Unique", [x], { axis, sorted }, 2);
      return putBack(b, x, grad.y, picksAt(b, x, first, axis), false);
    },
  }),
});

/** Positions of the elements that a Gather along `axis` (of all elements, without one) would give. */
function picksAt(b: OpBuilder, x: Value, indices: Value | undefined, axis: number | undefined): Value {
  if (indices === undefined || axis === undefined) return indices ?? positionsOf(b, x);
  return b.gather(positionsOf(b, x), indices, axis < 0 ? axis + rankOf(x) : axis);
}

/** Type of a result with some of the slices along an axis, or some of all elements. */
function inferPicked(
  node: Node,
  x: Value,
  axis: number | undefined,
): ReturnType<typeof tensorType> | undefined {
  const type = x.tensorType;
  if (type === undefined) return undefined;
  if (axis === undefined) return tensorType(type.dtype, unknownShape(1));
  const at = type.shape && axisOf(node, axis, type.shape.length);
  return tensorType(type.dtype, at === undefined ? undefined : type.shape?.with(at, unknownDim()));
}

function oneHot(indices: NDArray, depth: NDArray, values: NDArray, at: number): NDArray {
  const size = depth.toNumbers()[0] ?? 0;
  const shape = indices.shape.toSpliced(at, 0, size);
  const inner = countElements(shape.slice(at + 1));
  const offsets = new Int32Array(countElements(shape));
  indices.toNumbers().forEach((index, i) => {
    const place = index < 0 ? index + size : index;
    if (place < 0 || place >= size || !Number.isInteger(place)) return;
    offsets[(Math.floor(i / inner) * size + place) * inner + (i % inner)] = 1;
  });
  return takeAt(values, shape, offsets);
}
