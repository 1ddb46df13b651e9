/**
 * The gradient of Resize. Along each axis the result is a matrix times the operand, and the gradient is its
 * transpose times that of the result.
 */

import { operatorErrors } from "../../diagnostics/operator.ts";
import { float32Tensor } from "../../ir/constant.ts";
import { type Dim, dimsEqual, floorDivDims, mulDims, unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { rankOf, shapeOf } from "../facts.ts";
import { once } from "./once.ts";
import {
  type AxisChange,
  interpolation,
  keepsAll,
  knownResize,
  planResize,
  type ResizeAttributes,
  type ResizeTarget,
  resizedAxes,
} from "./resize.ts";
import { aspectTranspose, saysAspect } from "./resize-aspect.ts";
import { keepsAxis, type ResizedAxis, resizeTaps } from "./resize-weights.ts";
import { productOf, reshapeTo, type Size, shapeVector, sizeAt, sizesOf, stateShape } from "./shape-vector.ts";

/** Elements of a matrix up to which it is stored; larger ones are computed from sizes at run time. */
const storedMatrix = 16384;

/** A Resize, its result, and what is known of its operands. */
export interface Resizing {
  readonly node: Node;
  readonly x: Value;
  readonly y: Value;
  readonly roi: Value | undefined;
  readonly scales: Value | undefined;
  readonly sizes: Value | undefined;
  readonly attrs: ResizeAttributes;
  readonly target: ResizeTarget;
  /** Elements of roi, where they are known. */
  readonly region: readonly number[] | undefined;
}

/** The gradient of `x` from that of the result. @throws DiagnosticError E_UNKNOWN_SIZE. */
export function resizeGradient(b: OpBuilder, g: Value, resizing: Resizing): Value {
  const { node, x, y, attrs, target } = resizing;
  const [from, to] = [shapeOf(x), shapeOf(y)];
  const changes = planResize(node, from, attrs, target);
  const axes = resizedAxes(node, attrs.axes, from.length);
  const crops = attrs.coordinate_transformation_mode === "tf_crop_and_resize";
  const known =
    crops && resizing.region === undefined ? undefined : knownResize(from, changes, axes, resizing.region);
  if (known !== undefined && keepsAll(known)) return g;
  // The runtime's product over no elements is not zero.
  if (to.includes(0)) return b.zerosLike(x);
  const touched = axes
    .toSorted((left, right) => left - right)
    .filter((axis) => {
      const [change, each] = [changes[axis], known?.[axis]];
      if (each !== undefined) return !keepsAxis(each, attrs);
      const asked = target.sizes !== undefined && attrs.keep_aspect_ratio_policy === "stretch";
      return change?.scale !== 1 && !(asked && dimsEqual(from[axis] ?? Number.NaN, to[axis] ?? Number.NaN));
    });
  const factors = touched.map((axis) => repeats(changes[axis], from[axis] ?? unknownDim(), attrs));
  if (factors.every((factor) => factor !== undefined)) return sumRepeats(b, x, g, touched, factors);
  let gradient = g;
  const sizes = sizesOf(y);
  const copies = once(() => keepsAllAtRunTime(b, resizing, changes));
  for (const axis of touched) {
    const stored = known?.[axis];
    const matrix =
      stored !== undefined &&
      (stored.size * stored.output <= storedMatrix || attrs.keep_aspect_ratio_policy !== "stretch")
        ? storedTranspose(b, stored, attrs)
        : computedTranspose(b, resizing, axis, axes.indexOf(axis), changes[axis], copies);
    sizes[axis] = sizeAt(x, axis);
    gradient = multiplyAlong(b, b.castLike(matrix, g), gradient, axis, sizes);
  }
  return stateShape(gradient, x);
}

/**
 * How often each element is repeated, where nearest neighbours give whole blocks. What holds in the middle of a
 * long axis holds everywhere: places lie half of an element or more from where the choice changes.
 */
function repeats(change: AxisChange | undefined, size: Dim, attrs: ResizeAttributes): number | undefined {
  const scale = change?.scale;
  if (attrs.mode !== "nearest" || scale === undefined || !Number.isInteger(scale)) return undefined;
  if (
    floorDivDims(change?.output ?? 0, size) !== scale &&
    !dimsEqual(change?.output ?? 0, mulDims(size, scale))
  )
    return undefined;
  if (
    !["asymmetric", "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel"].includes(
      attrs.coordinate_transformation_mode,
    )
  )
    return undefined;
  const sample = { size: 16, output: 16 * scale, scale, start: 0, end: 1 };
  const blocks = resizeTaps(sample, attrs).every(
    (taps, index) => taps?.[0]?.at === Math.floor(index / scale),
  );
  return blocks ? scale : undefined;
}

/** Sums over each block of repeated elements. */
function sumRepeats(
  b: OpBuilder,
  x: Value,
  g: Value,
  axes: readonly number[],
  factors: readonly number[],
): Value {
  const sizes = sizesOf(x);
  const split = sizes.flatMap((size, axis): Size[] => {
    const index = axes.indexOf(axis);
    return index < 0 ? [size] : [size, factors[index] ?? 1];
  });
  const blocks = axes.map((axis, index) => axis + index + 1);
  return stateShape(b.reduceSum(reshapeTo(b, g, split), blocks, false), x);
}

/** The matrix `[size, output]` of an axis of which everything is known. */
function storedTranspose(b: OpBuilder, axis: ResizedAxis, attrs: ResizeAttributes): Value {
  const elements = new Array<number>(axis.size * axis.output).fill(0);
  resizeTaps(axis, attrs).forEach((taps, output) => {
    for (const { at, weight } of taps ?? []) {
      const place = at * axis.output + output;
      elements[place] = (elements[place] ?? 0) + weight;
    }
  });
  return b.constant(float32Tensor(elements, [axis.size, axis.output]), "resize_weights");
}

/**
 * The same computed when the model runs, by resizing the identity: row i is what a tensor that is 1 at i and 0
 * elsewhere becomes. The rows are images of one line, doubled so that the runtime never takes the axis for one
 * that keeps its size, and copies it, where the operand as a whole is not copied.
 */
function computedTranspose(
  b: OpBuilder,
  { node, x, y, roi, scales, sizes: asked, attrs }: Resizing,
  axis: number,
  index: number,
  change: AxisChange | undefined,
  copies: () => Value | undefined,
): Value {
  if (attrs.keep_aspect_ratio_policy !== "stretch" && asked !== undefined) {
    const aspect = { x, sizes: asked, axes: resizedAxes(node, attrs.axes, rankOf(x)), attrs };
    if (saysAspect(aspect)) return aspectTranspose(b, aspect, index);
    throw operatorErrors.E_UNKNOWN_SIZE(
      node,
      "all sizes, since keep_aspect_ratio_policy takes one factor from them",
    );
  }
  const range = b.op("Range", [b.int(0), b.dim(x, axis), b.int(1)]);
  const identity = b.cast(b.equal(b.unsqueeze(range, [1]), range), "float32");
  const lines = b.unsqueeze(identity, [1, 2]);
  const count = attrs.axes?.length ?? rankOf(x);
  const crops = attrs.coordinate_transformation_mode === "tf_crop_and_resize";
  const region =
    crops && roi !== undefined
      ? b.concat(
          [
            b.constant(float32Tensor([0, 0, 0])),
            pick(b, roi, index),
            b.constant(float32Tensor([1, 1, 1])),
            pick(b, roi, index + count),
          ].map((part) => b.cast(part, "float32")),
          0,
        )
      : null;
  const [factors, sizes] =
    scales === undefined
      ? [null, shapeVector(b, [sizeAt(x, axis), 1, 2, sizeAt(y, axis)])]
      : [scaleVector(b, change?.scale, scales, index, copies()), null];
  const resized = b.op("Resize", [lines, region, factors, sizes], {
    ...interpolation(attrs),
  });
  const first = b.slice(resized, { starts: [0], ends: [1], axes: [2] });
  return b.squeeze(first, [1, 2]);
}

function pick(b: OpBuilder, vector: Value, index: number): Value {
  return b.slice(vector, { starts: [index], ends: [index + 1], axes: [0] });
}

/** Factors of the lines: 2 for the doubled axis, 1 where the runtime copies the operand as a whole. */
function scaleVector(
  b: OpBuilder,
  scale: number | undefined,
  scales: Value,
  index: number,
  copies: Value | undefined,
): Value {
  if (scale !== undefined && copies === undefined) return b.constant(float32Tensor([1, 1, 2, scale]));
  const ones = b.constant(float32Tensor([1, 1]));
  const doubled = copies === undefined ? b.constant(float32Tensor([2])) : b.sub(2, b.cast(copies, "float32"));
  return b.concat([ones, doubled, pick(b, scales, index)], 0);
}

/**
 * Whether all sizes stay as they are, as a bool of one element, where factors near 1 may let them; undefined
 * where they cannot.
 */
function keepsAllAtRunTime(
  b: OpBuilder,
  { x, y, target }: Resizing,
  changes: readonly AxisChange[],
): Value | undefined {
  if (target.sizes !== undefined) return undefined;
  if (changes.some(({ scale }) => scale !== undefined && (scale < 1 || scale >= 2))) return undefined;
  const same = b.cast(b.equal(shapeVector(b, sizesOf(x)), shapeVector(b, sizesOf(y))), "int32");
  return b.cast(b.op("ReduceMin", [same, b.ints([0])]), "bool");
}

/** `matrix [n, m]` times a tensor along one axis, which has m elements; `sizes` are those of the result. */
function multiplyAlong(b: OpBuilder, matrix: Value, x: Value, axis: number, sizes: readonly Size[]): Value {
  const rank = sizes.length;
  if (axis === rank - 1) return b.matmul(x, b.transpose(matrix, [1, 0]));
  if (axis === rank - 2) return b.matmul(matrix, x);
  const after = productOf(sizes.slice(axis + 1));
  const flat = reshapeTo(b, x, [...sizesOf(x, 0, axis + 1), after]);
  return reshapeTo(b, b.matmul(matrix, flat), sizes);
}
