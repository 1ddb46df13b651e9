/** Gather, GatherElements, GatherND: elements and rows picked by indices. */
import type { Dim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import type { Shape } from "../../ir/shape.ts";
import { countElements } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { withContent } from "../kernels/content.ts";
import { gatherGradient } from "../kernels/gather-gradient.ts";
import { boxesAt, elementOffsets, fromFront, rowOffsets } from "../kernels/index-offsets.ts";
import { scatterAlong, zerosShapedAs } from "../kernels/positions.ts";
import { boxOffsets, countUp, takeAt } from "../kernels/rearrange.ts";
import { axisOf, knownIntegers } from "../kernels/reduction-axes.ts";
import { requireElements, requireRows } from "../kernels/require-places.ts";
import { asRows, rowIndices, viewRows } from "../kernels/row-scatter.ts";
import { reshapeLike } from "../kernels/shape-vector.ts";
import { stridesOf } from "../ndarray.ts";
import { int } from "../params.ts";
import type { Inferred, PartsContext } from "../record.ts";

export const Gather = defineOp({
  type: "Gather",
  versions: [1, 11, 13],
  inputs: ["x", "indices"],
  ranks: { x: [1] },
  outputs: ["y"],
  attributes: { axis: int(0) },
  infer: ({ node, in: { x, indices }, attrs: { axis } }) => [inferGather(node, x, indices, axis)],
  evaluate: ({ node, in: { x, indices }, attrs: { axis } }) => {
    const at = axisOf(node, axis, x.rank);
    const strides = stridesOf(x.shape);
    const offsets = x.shape.map((dim, i) => countUp(dim).map((index) => index * (strides[i] ?? 1)));
    const picked = indices.toNumbers().map((index) => offsets[at]?.[fromFront(index, x.shape[at] ?? 1)] ?? 0);
    return [takeAt(x, x.shape.toSpliced(at, 1, ...indices.shape), boxOffsets(offsets.with(at, picked)))];
  },
  parts: partsOfGather,
  precision: "follow",
  cost: { rows: "x" },
  gradient: ({ node, in: { x, indices }, attrs: { axis }, grad, b }) => ({
    x: () => gatherGradient(b, x, indices, grad.y, axisOf(node, axis, rankOf(x))),
  }),
  quantized: { reads: ["x"], makes: ["y"] },
});

export const GatherElements = defineOp({
  type: "GatherElements",
  versions: [11, 13],
  inputs: ["x", "indices"],
  ranks: { x: [1], indices: [1] },
  outputs: ["y"],
  attributes: { axis: int(0) },
  infer: ({ node, in: { x, indices }, attrs: { axis } }) => {
    requireElements(node, x, indices, axis);
    return [x.tensorType && tensorType(x.tensorType.dtype, indices.tensorType?.shape)];
  },
  evaluate: ({ node, in: { x, indices }, attrs: { axis } }) => {
    const at = axisOf(node, axis, x.rank);
    return [takeAt(x, indices.shape, elementOffsets(x, indices, at))];
  },
  parts: partsOfTaken,
  precision: "follow",
  gradient: ({ in: { x, indices }, attrs: { axis }, grad, b }) => ({
    x: () => {
      const options = { updates: grad.y, indices, axis, repeated: true };
      return scatterAlong(b, options, (dtype) => zerosShapedAs(b, x, dtype));
    },
  }),
  quantized: { reads: ["x"], makes: ["y"] },
});

export const GatherND = defineOp({
  type: "GatherND",
  versions: [11, 12, 13],
  inputs: ["x", "indices"],
  ranks: { x: [1], indices: [1] },
  outputs: ["y"],
  attributes: { batch_dims: int(0) },
  infer: ({ node, in: { x, indices }, attrs: { batch_dims: batchDims } }) => {
    requireRows(node, x, indices, batchDims);
    const type = x.tensorType;
    return [type && tensorType(type.dtype, gatheredRows(type.shape, indices.tensorType?.shape, batchDims))];
  },
  evaluate: ({ in: { x, indices }, attrs: { batch_dims: batchDims } }) => {
    const row = x.shape.slice(batchDims + (indices.shape.at(-1) ?? 0));
    const starts = rowOffsets(x, indices, batchDims);
    return [takeAt(x, [...indices.shape.slice(0, -1), ...row], boxesAt(starts, countElements(row)))];
  },
  precision: "follow",
  gradient: ({ node, in: { x, indices }, attrs: { batch_dims: batchDims }, grad, b }) => ({
    x: () => {
      const { rows, row, count } = viewRows(b, node, x, indices, batchDims);
      const updates = asRows(b, grad.y, -1, row);
      const options = { updates, indices: rowIndices(b, rows, updates), axis: 0, repeated: true };
      const table = scatterAlong(b, options, (dtype) => asRows(b, zerosShapedAs(b, x, dtype), count, row));
      return reshapeLike(b, table, x);
    },
  }),
});

function inferGather(node: Node, x: Value, indices: Value, axis: number): Inferred {
  const type = x.tensorType;
  const [from, picked] = [type?.shape, indices.tensorType?.shape];
  if (type === undefined || from === undefined || picked === undefined) return type && tensorType(type.dtype);
  const at = axisOf(node, axis, from.length);
  const shape = from.toSpliced(at, 1, ...picked);
  return withContent(type.dtype, shape, pickContent(x.content, knownIntegers(indices)));
}

function pickContent(
  content: readonly Dim[] | undefined,
  indices: readonly number[] | undefined,
): readonly Dim[] | undefined {
  if (content === undefined || indices === undefined) return undefined;
  const picked = indices.flatMap((index) => content.at(index) ?? []);
  return picked.length === indices.length ? picked : undefined;
}

function gatheredRows(
  from: Shape | undefined,
  indices: Shape | undefined,
  batchDims: number,
): Shape | undefined {
  const width = indices?.at(-1);
  if (indices === undefined || from === undefined || typeof width !== "number") return undefined;
  return [...indices.slice(0, -1), ...from.slice(batchDims + width)];
}

/** Rows of what is gathered from, beside the axis of the indices; or rows of indices into what is the same for all. */
function partsOfGather({ node, axisOf: rowsOf, isSum }: PartsContext): number | undefined {
  const [x, indices] = [node.input(0), node.input(1)];
  if (x === undefined || indices === undefined || isSum(0) || isSum(1)) return undefined;
  const at = axisOf(node, node.int("axis", 0), rankOf(x));
  const [own, asked] = [rowsOf(0), rowsOf(1)];
  if (own === undefined) return asked === undefined ? undefined : at + asked;
  if (asked !== undefined || own === at) return undefined;
  return own < at ? own : own + rankOf(indices) - 1;
}

/** Elements and indices have their rows along one axis, which is not that of the indices. */
function partsOfTaken(context: PartsContext): number | undefined {
  const { node, axisOf: rowsOf } = context;
  const [x, indices] = [rowsOf(0), rowsOf(1)];
  if (x === undefined || x !== indices || context.isSum(0)) return undefined;
  return x === axisOf(node, node.int("axis", 0), rankOf(node.output(0))) ? undefined : x;
}
