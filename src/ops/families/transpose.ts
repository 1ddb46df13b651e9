/** Operators that reorder axes: Transpose, DepthToSpace, SpaceToDepth. */
import { InternalError } from "../../diagnostics/define.ts";
import { operatorErrors } from "../../diagnostics/operator.ts";
import { type Dim, floorDivDims, mulDims } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import type { Shape } from "../../ir/shape.ts";
import { mostAxes, unknownShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { withContent } from "../kernels/content.ts";
import { countUp, permuteAxes } from "../kernels/rearrange.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { replaceNode } from "../kernels/replace-node.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import { rebuild } from "../kernels/select-along.ts";
import { reshapeTo, sizeAt, stateShape } from "../kernels/shape-vector.ts";
import type { NDArray } from "../ndarray.ts";
import { counts, int, ints, text } from "../params.ts";
import type { PartsContext } from "../record.ts";
export const Transpose = defineOp({
  type: "Transpose",
  versions: [1, 13, 21, 23, 24, 25],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { perm: ints() },
  infer: ({ node, in: { x }, attrs: { perm } }) => {
    const type = x.tensorType;
    const from = type?.shape;
    if (perm !== undefined && perm.length > mostAxes)
      throw operatorErrors.E_BAD_ATTRIBUTE(node, "perm", `at most ${mostAxes} axes`, String(perm.length));
    if (from === undefined) return [type && tensorType(type.dtype, perm && unknownShape(perm.length))];
    if (perm !== undefined && (perm.length !== from.length || new Set(perm).size !== perm.length))
      throw operatorErrors.E_BAD_ATTRIBUTE(
        node,
        "perm",
        `each of ${from.length} axes once`,
        `[${perm.slice(0, 16)}]`,
      );
    const shape = (perm ?? reversed(from.length)).map(
      (axis): Dim => from[axisOf(node, axis, from.length)] ?? 1,
    );
    return [type && withContent(type.dtype, shape, x.content)];
  },
  evaluate: ({ in: { x }, attrs: { perm } }) => [permuteAxes(x, perm ?? reversed(x.rank))],
  parts: partsOfTranspose,
  precision: "follow",
  select: (context) => {
    const perm = context.node.ints("perm", reversed(rankOf(context.node.output(0))));
    return rebuild(context, () => perm[context.axis]);
  },
  gradient: ({ in: { x }, attrs: { perm }, grad, b }) => ({
    x: () => b.transpose(grad.y, inverse(perm ?? reversed(rankOf(x)))),
  }),
  quantized: { reads: ["x"], makes: ["y"] },
});

export const DepthToSpace = defineOp({
  type: "DepthToSpace",
  versions: [1, 11, 13, 28],
  inputs: ["x"],
  ranks: { x: 4 },
  outputs: ["y"],
  attributes: { blocksize: int(1, counts), mode: text("DCR") },
  infer: ({ node, in: { x }, attrs: { blocksize: size, mode } }) => {
    requireOneOf(node, "mode", mode, ["DCR", "CRD"]);
    requireBlocks(node, size, x, [size * size, 1, 1]);
    return [
      mapImageShape(x, (n, c, h, w) => [n, floorDivDims(c, size * size), mulDims(h, size), mulDims(w, size)]),
    ];
  },
  evaluate: ({ in: { x }, attrs: { blocksize: size, mode } }) => {
    const [n = 1, c = 1, h = 1, w = 1] = x.shape;
    const depth = c / (size * size);
    const [split, perm] = mode === "CRD" ? crd(depth, size) : dcr(depth, size);
    return [permuteAxes(x.reshaped([n, ...split, h, w]), perm).reshaped([n, depth, h * size, w * size])];
  },
  precision: "follow",
  gradient: ({ in: { x }, attrs: { blocksize: size, mode }, grad, b }) => ({
    x: () =>
      mode === "CRD"
        ? gatherBlocks(b, grad.y, x, size)
        : stateShape(b.op("SpaceToDepth", [grad.y], { blocksize: size }), x),
  }),
  quantized: { reads: ["x"], makes: ["y"] },
});

export const SpaceToDepth = defineOp({
  type: "SpaceToDepth",
  versions: [1, 13, 28],
  inputs: ["x"],
  ranks: { x: 4 },
  outputs: ["y"],
  attributes: { blocksize: int(1, counts) },
  // Mode CRD of version 28 orders channels as c, row, column instead of row, column, c.
  downgrades: {
    28: (node, b) => {
      const mode = node.string("mode", "DCR");
      requireOneOf(node, "mode", mode, ["DCR", "CRD"]);
      node.attributes.delete("mode");
      const [x] = node.inputs;
      const channels = x?.tensorType?.shape?.[1];
      if (mode === "DCR" || x == null) return;
      if (typeof channels !== "number")
        throw new InternalError("mode CRD needs a number of channels that the model says");
      const blocksize = node.int("blocksize", 1);
      const area = blocksize * blocksize;
      if (channels * area > 2 ** 20) throw new InternalError(`mode CRD with ${channels * area} channels`);
      const y = b.op("SpaceToDepth", [x], { blocksize });
      const order = countUp(channels * area).map((to) => (to % area) * channels + Math.floor(to / area));
      replaceNode(node, [b.gather(y, b.ints(order), 1)]);
    },
  },
  infer: ({ node, in: { x }, attrs: { blocksize: size } }) => {
    requireBlocks(node, size, x, [1, size, size]);
    return [
      mapImageShape(x, (n, c, h, w) => [
        n,
        mulDims(c, size * size),
        floorDivDims(h, size),
        floorDivDims(w, size),
      ]),
    ];
  },
  evaluate: ({ in: { x }, attrs: { blocksize: size } }) => [spaceToDepth(x, size)],
  precision: "follow",
  gradient: ({ in: { x }, attrs: { blocksize }, grad, b }) => ({
    x: () => stateShape(b.op("DepthToSpace", [grad.y], { blocksize, mode: "DCR" }), x),
  }),
  quantized: { reads: ["x"], makes: ["y"] },
});

function reversed(rank: number): readonly number[] {
  return countUp(rank).reverse();
}

function inverse(perm: readonly number[]): number[] {
  const result = new Array<number>(perm.length).fill(0);
  perm.forEach((axis, position) => {
    result[axis] = position;
  });
  return result;
}

/** How depth is split, and where the pieces go, when blocks are the outer part of it. */
function dcr(depth: number, size: number): [number[], number[]] {
  return [
    [size, size, depth],
    [0, 3, 4, 1, 5, 2],
  ];
}

/** The same when blocks are the inner part of depth. */
function crd(depth: number, size: number): [number[], number[]] {
  return [
    [depth, size, size],
    [0, 1, 4, 2, 5, 3],
  ];
}

/** Refuses blocks that channels, rows or columns do not divide into. */
function requireBlocks(node: Node, size: number, x: Value, divisors: readonly number[]): void {
  const [, ...sizes] = x.tensorType?.shape ?? [];
  const fits = sizes.every((dim, at) => typeof dim !== "number" || dim % (divisors[at] ?? 1) === 0);
  if (size >= 1 && fits) return;
  const expected = "at least 1, and a divisor of what it divides";
  throw operatorErrors.E_BAD_ATTRIBUTE(node, "blocksize", expected, `${size} for [${x.tensorType?.shape}]`);
}

function spaceToDepth(x: NDArray, size: number): NDArray {
  const [n = 1, c = 1, h = 1, w = 1] = x.shape;
  const [rows, columns] = [h / size, w / size];
  const blocks = x.reshaped([n, c, rows, size, columns, size]);
  return permuteAxes(blocks, [0, 3, 5, 1, 2, 4]).reshaped([n, c * size * size, rows, columns]);
}

/** The inverse of a DepthToSpace of mode CRD, for which ONNX has no operator. */
function gatherBlocks(b: OpBuilder, g: Value, x: Value, size: number): Value {
  const [n, h, w] = [sizeAt(x, 0), sizeAt(x, 2), sizeAt(x, 3)];
  const blocks = reshapeTo(b, g, [n, sizeAt(g, 1), h, size, w, size]);
  return reshapeTo(b, b.transpose(blocks, [0, 1, 3, 5, 2, 4]), [n, sizeAt(x, 1), h, w]);
}

function mapImageShape(
  x: Value,
  map: (n: Dim, c: Dim, h: Dim, w: Dim) => Shape,
): ReturnType<typeof tensorType> | undefined {
  const type = x.tensorType;
  if (type === undefined) return undefined;
  const [n, c, h, w] = type.shape ?? [];
  if (n === undefined || c === undefined || h === undefined || w === undefined)
    return tensorType(type.dtype, unknownShape(4));
  return tensorType(type.dtype, map(n, c, h, w));
}

function partsOfTranspose({ node, axisOf: rowsOf, isSum }: PartsContext): number | "sum" | undefined {
  const axis = rowsOf(0);
  if (isSum(0)) return "sum";
  if (axis === undefined) return undefined;
  const rank = rankOf(node.output(0));
  const perm = node.ints("perm", reversed(rank)).map((from) => axisOf(node, from, rank));
  return perm.indexOf(axis);
}
