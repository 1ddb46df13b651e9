/** Operators that give the same elements another shape: Identity, Reshape, Flatten, Squeeze, Unsqueeze. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { constantOf } from "../../ir/constant.ts";
import { type Dim, dimsEqual, floorDivDims, isUnknown, mulDims, unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { countElements, formatShape, type Shape, sizeOf, unknownShape } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import { defineOp } from "../define.ts";
import { attributeToInput } from "../kernels/attribute-to-input.ts";
import { contentOf, dimsIn, withContent } from "../kernels/content.ts";
import { partsOfView } from "../kernels/parts.ts";
import { axisOf, knownIntegers } from "../kernels/reduction-axes.ts";
import { reshapeLike } from "../kernels/shape-vector.ts";
import { int } from "../params.ts";
import type { Inferred, SelectContext } from "../record.ts";

export const Identity = defineOp({
  type: "Identity",
  versions: [1, 13, 14, 16, 19, 21, 23, 24, 25],
  inputs: ["x"],
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => [
    x.tensorType === undefined || x.content === undefined
      ? x.type
      : { type: x.tensorType, content: x.content },
  ],
  evaluate: ({ in: { x } }) => [x],
  precision: "follow",
  cost: { view: "x" },
  parts: partsOfView,
  gradient: ({ grad }) => ({ x: () => grad.y }),
  rankFree: true,
  quantized: { reads: ["x"], makes: ["y"] },
});

export const Reshape = defineOp({
  type: "Reshape",
  versions: [1, 5, 13, 14, 19, 21, 23, 24, 25],
  inputs: ["x", "shape"],
  ranks: { shape: 1 },
  outputs: ["y"],
  attributes: { allowzero: int(0) },
  infer: ({ in: { x, shape }, attrs: { allowzero } }) => {
    const target = dimsIn(shape);
    const from = x.tensorType?.shape;
    return [inferView(x, target && solveTarget(from, target, allowzero !== 0))];
  },
  evaluate: ({ in: { x, shape }, attrs: { allowzero } }) => {
    const target = shape
      .toNumbers()
      .map((size, axis) => (size === 0 && allowzero === 0 ? (x.shape[axis] ?? 0) : size));
    const known = countElements(target.filter((size) => size !== -1));
    return [x.reshaped(target.map((size) => (size === -1 ? (known === 0 ? 0 : x.size / known) : size)))];
  },
  precision: "follow",
  select: selectView,
  cost: { view: "x" },
  parts: partsOfView,
  gradient: ({ in: { x }, grad, b }) => ({ x: () => reshapeLike(b, grad.y, x) }),
  rankFree: true,
  hostInputs: ["shape"],
  quantized: { reads: ["x"], makes: ["y"] },
});

export const Flatten = defineOp({
  type: "Flatten",
  versions: [1, 9, 11, 13, 21, 23, 24, 25],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { axis: int(1) },
  infer: ({ node, in: { x }, attrs: { axis } }) => {
    const from = x.tensorType?.shape;
    if (from === undefined) return [inferView(x, unknownShape(2))];
    const at = splitAt(node, axis, from.length);
    return [inferView(x, [sizeOf(from.slice(0, at)), sizeOf(from.slice(at))])];
  },
  evaluate: ({ node, in: { x }, attrs: { axis } }) => {
    const at = splitAt(node, axis, x.rank);
    return [x.reshaped([countElements(x.shape.slice(0, at)), countElements(x.shape.slice(at))])];
  },
  precision: "follow",
  cost: { view: "x" },
  parts: partsOfView,
  gradient: ({ in: { x }, grad, b }) => ({ x: () => reshapeLike(b, grad.y, x) }),
  rankFree: true,
  quantized: { reads: ["x"], makes: ["y"] },
});

export const Squeeze = defineOp({
  type: "Squeeze",
  versions: [1, 11, 13, 21, 23, 24, 25],
  inputs: ["x", "axes?"],
  ranks: { axes: [0, 1] },
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { x, axes } }) => [inferView(x, squeezedShape(node, x, axes))],
  evaluate: ({ node, in: { x, axes } }) => {
    const dropped = axes?.toNumbers().map((axis) => axisOf(node, axis, x.rank));
    return [
      x.reshaped(
        x.shape.filter((dim, axis) => (dropped === undefined ? dim !== 1 : !dropped.includes(axis))),
      ),
    ];
  },
  precision: "follow",
  cost: { view: "x" },
  parts: partsOfView,
  gradient: ({ in: { x, axes }, grad, b }) => ({
    // The runtime drops every axis of size 1 where it is given an empty list.
    x: () =>
      axes === undefined || constantOf(axes) === undefined
        ? reshapeLike(b, grad.y, x)
        : b.op("Unsqueeze", [grad.y, axes]),
  }),
  rankFree: true,
  upgrades: { 13: (node, b) => attributeToInput(node, b, "axes", 1) },
  hostInputs: ["axes"],
  quantized: { reads: ["x"], makes: ["y"] },
});

export const Unsqueeze = defineOp({
  type: "Unsqueeze",
  versions: [1, 11, 13, 21, 23, 24, 25],
  inputs: ["x", "axes"],
  ranks: { axes: [0, 1] },
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { x, axes } }) => [inferView(x, unsqueezedShape(node, x, axes))],
  evaluate: ({ node, in: { x, axes } }) => {
    const rank = x.rank + axes.size;
    const added = axes.toNumbers().map((axis) => axisOf(node, axis, rank));
    return [x.reshaped(insertOnes(x.shape, added, rank))];
  },
  precision: "follow",
  cost: { view: "x" },
  parts: partsOfView,
  gradient: ({ in: { axes }, grad, b }) => ({ x: () => b.op("Squeeze", [grad.y, axes]) }),
  rankFree: true,
  upgrades: { 13: (node, b) => attributeToInput(node, b, "axes", 1) },
  hostInputs: ["axes"],
  quantized: { reads: ["x"], makes: ["y"] },
});

/** An axis that a Reshape leaves as it is: with as many elements before it, and as many of its own. */
function selectView({ node, axis, count, take, b }: SelectContext): Value | undefined {
  const [from, to] = [node.input(0)?.tensorType?.shape, node.output(0).tensorType?.shape];
  const size = to?.[axis];
  if (from === undefined || to === undefined || size === undefined || node.int("allowzero", 0) !== 0)
    return undefined;
  const before = sizeOf(to.slice(0, axis));
  const at = from.findIndex(
    (dim, position) => dimsEqual(dim, size) && dimsEqual(sizeOf(from.slice(0, position)), before),
  );
  // The whole result must not be what sizes are read from.
  const target = to.map((dim) => (typeof dim === "number" ? dim : -1)).with(axis, count);
  if (at < 0 || target.includes(0) || target.filter((dim) => dim === -1).length > 1) return undefined;
  return b.reshape(take(0, at), target);
}

/** Where Flatten splits the axes, which may be after the last. */
function splitAt(node: Node, axis: number, rank: number): number {
  return axis === rank ? rank : axisOf(node, axis, rank);
}

/** Type of a result with the elements of `x` in their order, so that small integer contents stay known. */
function inferView(x: Value, shape: Shape | undefined): Inferred {
  const type = x.tensorType;
  return type && withContent(type.dtype, shape, x.content);
}

/**
 * Resolves 0 and -1 in the target of a Reshape. The one size that is not said is what is left when both sides
 * are divided by what they share, so that sums such as `past + seq` come out whole.
 */
function solveTarget(from: Shape | undefined, target: readonly Dim[], allowzero: boolean): Shape | undefined {
  const copied = target.map((size, axis) =>
    size === 0 && !allowzero ? (from === undefined ? unknownDim() : (from[axis] ?? 0)) : size,
  );
  const open = copied.flatMap((size, axis) => (size === -1 || isUnknown(size) ? [axis] : []));
  const [axis] = open;
  if (from === undefined || axis === undefined || open.length > 1) {
    return copied.map((size) => (size === -1 ? unknownDim() : size));
  }
  return copied.with(axis, quotient(from, copied.toSpliced(axis, 1)));
}

function quotient(whole: Shape, parts: Shape): Dim {
  const rest = [...whole];
  const left = parts.filter((part) => {
    const at = rest.findIndex((dim) => dimsEqual(dim, part));
    if (at < 0 || part === 0) return true;
    rest.splice(at, 1);
    return false;
  });
  return floorDivDims(rest.reduce<Dim>(mulDims, 1), left.reduce<Dim>(mulDims, 1));
}

function squeezedShape(node: Node, x: Value, axes: Value | undefined): Shape | undefined {
  const from = x.tensorType?.shape;
  if (from === undefined) return undefined;
  if (axes === undefined) {
    // A named axis may have size 1 in one run and not in another.
    return from.every((dim) => typeof dim === "number") ? from.filter((dim) => dim !== 1) : undefined;
  }
  const list = knownIntegers(axes);
  if (list === undefined) {
    const count = axes.tensorType?.shape?.[0];
    return typeof count === "number" ? unknownShape(Math.max(0, from.length - count)) : undefined;
  }
  const dropped = list.map((axis) => axisOf(node, axis, from.length));
  const long = dropped.find((axis) => typeof from[axis] === "number" && from[axis] !== 1);
  if (long !== undefined)
    throw operatorErrors.E_BAD_OPERAND(node, "x", `a size of 1 along axis ${long}`, formatShape(from));
  return from.filter((_, axis) => !dropped.includes(axis));
}

function unsqueezedShape(node: Node, x: Value, axes: Value): Shape | undefined {
  const from = x.tensorType?.shape;
  const count = contentOf(axes)?.length ?? axes.tensorType?.shape?.[0];
  if (from === undefined || typeof count !== "number") return undefined;
  const rank = from.length + count;
  const list = knownIntegers(axes);
  if (list === undefined) return unknownShape(rank);
  return insertOnes(
    from,
    list.map((axis) => axisOf(node, axis, rank)),
    rank,
  );
}

function insertOnes<D extends Dim>(shape: readonly D[], added: readonly number[], rank: number): (D | 1)[] {
  const rest = [...shape];
  return Array.from({ length: rank }, (_, axis) => (added.includes(axis) ? 1 : (rest.shift() ?? 1)));
}
