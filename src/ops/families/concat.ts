/** Concat and Split: pieces along one axis. */

import { operatorErrors } from "../../diagnostics/operator.ts";
import {
  addDims,
  ceilDivDims,
  type Dim,
  dimsEqual,
  floorDivDims,
  modDims,
  mulDims,
  subDims,
  unknownDim,
} from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { refineShape, type Shape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { attributeToInput } from "../kernels/attribute-to-input.ts";
import { contentOrUnknowns, dimsIn, withContent } from "../kernels/content.ts";
import { partsBeside } from "../kernels/parts.ts";
import { concatenate, countUp, pickAlongAxes } from "../kernels/rearrange.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { requireRank } from "../kernels/require-rank.ts";
import { type Size, shapeVector, sizeAt, stateShape } from "../kernels/shape-vector.ts";
import { counts, int, maybeInt } from "../params.ts";
import type { Inferred, PartsContext } from "../record.ts";
export const Concat = defineOp({
  type: "Concat",
  versions: [1, 4, 11, 13],
  inputs: ["xs..."],
  outputs: ["y"],
  attributes: { axis: int(0) },
  infer: ({ node, in: { xs }, attrs: { axis } }) => [inferConcat(node, xs, axis)],
  evaluate: ({ node, in: { xs }, attrs: { axis } }) => [
    concatenate(xs, axisOf(node, axis, xs[0]?.rank ?? 0)),
  ],
  parts: partsOfConcat,
  precision: "follow",
  gradient: ({ node, in: { xs }, attrs: { axis }, grad, b }) => ({
    xs: (index) => {
      const piece = pieceOf(b, grad.y, xs, index, axisOf(node, axis, rankOf(grad.y)));
      return piece === grad.y ? piece : stateShape(piece, xs[index] ?? piece);
    },
  }),
  quantized: { reads: ["xs"], makes: ["y"] },
});

export const Split = defineOp({
  type: "Split",
  versions: [1, 2, 11, 13, 18],
  inputs: ["x", "split?"],
  ranks: { x: [1], split: 1 },
  outputs: ["ys..."],
  attributes: { axis: int(0), num_outputs: maybeInt(counts) },
  infer: ({ node, in: { x, split }, attrs: { axis, num_outputs: count } }) => {
    const type = x.tensorType;
    const { length } = node.outputs;
    if (count !== undefined && split === undefined && count !== length)
      throw operatorErrors.E_BAD_ATTRIBUTE(
        node,
        "num_outputs",
        `the number of results, ${length}`,
        `${count}`,
      );
    if (type === undefined) return [];
    const at = type.shape && axisOf(node, axis, type.shape.length);
    const sizes = pieceSizes(node, at === undefined ? undefined : type.shape?.[at], split);
    let start: Dim = 0;
    return sizes.map((size) => {
      const content =
        typeof start === "number" && typeof size === "number"
          ? x.content?.slice(start, start + size)
          : undefined;
      start = addDims(start, size);
      return withContent(type.dtype, at === undefined ? undefined : type.shape?.with(at, size), content);
    });
  },
  evaluate: ({ node, in: { x, split }, attrs: { axis } }) => {
    const at = axisOf(node, axis, x.rank);
    const count = node.outputs.length;
    const sizes = split?.toNumbers() ?? evenSizes(x.shape[at] ?? 0, count);
    let start = 0;
    return sizes.map((size) => {
      const from = start;
      start += typeof size === "number" ? size : 0;
      const picks = x.shape.map((dim, other) => countUp(other === at ? start - from : dim));
      return pickAlongAxes(x, picks.with(at, picks[at]?.map((index) => index + from) ?? []));
    });
  },
  parts: partsBeside((node, rank) => [axisOf(node, node.int("axis", 0), rank)]),
  precision: "follow",
  gradient: ({ node, in: { x, split }, attrs, grad, b }) => ({
    x: () => {
      if (node.outputs.every((output) => output !== null))
        return stateShape(b.concat(grad.ys, attrs.axis), x);
      // Pieces that nobody reads have no value that could say their size.
      const again = b.ops(
        "Split",
        [x, split ?? null],
        { axis: attrs.axis, num_outputs: attrs.num_outputs },
        node.outputs.length,
      );
      const given = [...grad.ys];
      return b.concat(
        again.map((piece, index) =>
          node.outputs[index] === null ? b.zerosLike(piece) : (given.shift() ?? piece),
        ),
        attrs.axis,
      );
    },
  }),
  upgrades: {
    13: (node, b) => attributeToInput(node, b, "split", 1),
    18: (node) => {
      if (node.input(1) === undefined)
        node.attributes.set("num_outputs", { kind: "int", value: node.outputs.length });
    },
  },
  hostInputs: ["split"],
  quantized: { reads: ["x"], makes: ["ys"] },
});

function inferConcat(node: Node, xs: readonly Value[], axis: number): Inferred {
  const dtype = xs.find((x) => x.tensorType !== undefined)?.tensorType?.dtype;
  if (dtype === undefined) return undefined;
  const shapes = xs.map((x) => x.tensorType?.shape);
  const rank = shapes.find((shape) => shape !== undefined)?.length;
  const at = rank === undefined ? undefined : axisOf(node, axis, rank);
  if (at === undefined || rank === undefined) return tensorType(dtype);
  xs.forEach((x, index) => {
    requireRank(node, `xs ${index}`, x, rank);
  });
  // Along the other axes all operands agree, so what one does not say another may.
  const others = shapes.reduce<Shape | undefined>(
    (known, shape) => refineShape(known, shape?.with(at, 0)),
    undefined,
  );
  const total = shapes.map((shape): Dim => shape?.[at] ?? unknownDim()).reduce(addDims);
  const contents =
    rank === 1 && xs.some((x) => x.content !== undefined) ? xs.map(contentOrUnknowns) : [undefined];
  const known = contents.filter((content) => content !== undefined);
  return withContent(
    dtype,
    others?.with(at, total),
    known.length === contents.length ? known.flat() : undefined,
  );
}

/** The slice of the gradient that belongs to one operand, counted from whichever end is known. */
function pieceOf(b: OpBuilder, g: Value, xs: readonly Value[], index: number, axis: number): Value {
  const sizes = xs.map((x) => sizeAt(x, axis));
  const before = sumSizes(sizes.slice(0, index));
  const after = sumSizes(sizes.slice(index + 1));
  const own = sizes[index];
  if (own === undefined || xs.length === 1) return g;
  if (own === 0) return sliceAt(b, g, axis, b.ints([0]), b.ints([0]));
  if (before !== undefined && typeof own === "number")
    return sliceAt(b, g, axis, b.ints([before]), b.ints([before + own]));
  if (before !== undefined && after !== undefined)
    return sliceAt(b, g, axis, b.ints([before]), endBefore(b, after));
  if (after !== undefined && typeof own === "number")
    return sliceAt(b, g, axis, b.ints([-after - own]), endBefore(b, after));
  const start = before === undefined ? addUp(b, sizes.slice(0, index)) : b.ints([before]);
  const end = after === undefined ? b.add(start, shapeVector(b, [own])) : endBefore(b, after);
  return sliceAt(b, g, axis, start, end);
}

function sliceAt(b: OpBuilder, g: Value, axis: number, start: Value, end: Value): Value {
  return b.op("Slice", [g, start, end, b.ints([axis])]);
}

function endBefore(b: OpBuilder, count: number): Value {
  return b.ints([count === 0 ? Number.MAX_SAFE_INTEGER : -count]);
}

function sumSizes(sizes: readonly Size[]): number | undefined {
  let sum = 0;
  for (const size of sizes) {
    if (typeof size !== "number") return undefined;
    sum += size;
  }
  return sum;
}

function addUp(b: OpBuilder, sizes: readonly Size[]): Value {
  return sizes.map((size) => shapeVector(b, [size])).reduce((left, right) => b.add(left, right));
}

function pieceSizes(node: Node, whole: Dim | undefined, split: Value | undefined): readonly Dim[] {
  const count = node.outputs.length;
  if (split !== undefined) {
    const sizes = dimsIn(split) ?? countUp(count).map(() => unknownDim());
    return count === 1 && whole !== undefined ? [whole] : sizes;
  }
  return whole === undefined ? countUp(count).map(() => unknownDim()) : evenSizes(whole, count);
}

/** Equal pieces; the last is smaller where they do not come out even. */
function evenSizes(whole: Dim, count: number): readonly Dim[] {
  const even = dimsEqual(modDims(whole, count), 0);
  const size = even ? floorDivDims(whole, count) : ceilDivDims(whole, count);
  const last = even ? size : subDims(whole, mulDims(size, count - 1));
  return countUp(count).map((index) => (index === count - 1 ? last : size));
}

/** All pieces have their rows along the same axis, which is not that of the pieces. */
function partsOfConcat({ node, axisOf: rowsOf, isSum }: PartsContext): number | undefined {
  const axes = node.inputs.map((_, index) => rowsOf(index));
  const [first] = axes;
  if (first === undefined || axes.some((axis, index) => axis !== first || isSum(index))) return undefined;
  return first === axisOf(node, node.int("axis", 0), rankOf(node.output(0))) ? undefined : first;
}
