/** DFT and STFT: spectra of signals. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { addDims, type Dim, floorDivDims, mulDims, subDims, unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { type TensorType, tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf, dtypeOf, rankOf } from "../facts.ts";
import { contentOf } from "../kernels/content.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { hasItsBins, transform } from "../kernels/fourier.ts";
import { countUp } from "../kernels/rearrange.ts";
import { axisOf, knownIntegers } from "../kernels/reduction-axes.ts";
import { shapeVector, sizeAt, stateShape } from "../kernels/shape-vector.ts";
import { padZeros } from "../kernels/zero-pad.ts";
import { int } from "../params.ts";

export const DFT = defineOp({
  type: "DFT",
  versions: [17, 20],
  inputs: ["x", "length?", "axis?"],
  ranks: { x: [2], length: [0, 1], axis: [0, 1] },
  outputs: ["y"],
  attributes: { inverse: int(0), onesided: int(0) },
  infer: ({ node, in: operands, attrs }) => [inferTransform(node, operands, attrs)],
  evaluate: ({ node, in: { x, length, axis }, attrs, exact }) => {
    const at = axisOf(node, axis?.toNumbers()[0] ?? -2, x.rank);
    const [inverse, onesided] = [attrs.inverse !== 0, attrs.onesided !== 0];
    const size = x.shape[at] ?? 0;
    const count = length?.toNumbers()[0] ?? (inverse && onesided ? 2 * (size - 1) : size);
    return [transform(x, { axis: at, length: count, inverse, onesided }, exact)];
  },
  precision: "full",
  gradient: ({ node, in: operands, attrs, grad, b }) => ({
    x: () => transformGradient(b, node, operands, attrs, grad.y),
  }),
  hostInputs: ["length", "axis"],
  upgrades: { 20: axisToInput },
});

export const STFT = defineOp({
  type: "STFT",
  versions: [17],
  inputs: ["signal", "step", "window?", "length?"],
  ranks: { signal: [2, 3], step: [0, 1], window: 1, length: [0, 1] },
  outputs: ["y"],
  attributes: { onesided: int(1) },
  infer: ({ in: { signal, step, window, length }, attrs: { onesided } }) => {
    const type = signal.tensorType;
    if (type === undefined) return [];
    const [batch = unknownDim(), size = unknownDim()] = type.shape ?? [];
    const frame = frameDim(size, window, length);
    const stride = contentOf(step)?.[0];
    const frames =
      stride === undefined ? unknownDim() : addDims(floorDivDims(subDims(size, frame), stride), 1);
    const bins = onesided === 0 ? frame : addDims(floorDivDims(frame, 2), 1);
    return [tensorType(type.dtype, [batch, frames, bins, 2])];
  },
  evaluate: byExpansion,
  precision: "full",
  // Frames of the signal, weighted by the window, each transformed.
  gradient: {
    kind: "expand",
    rule: ({ in: { signal, step, window, length }, attrs: { onesided }, b }) => {
      const size = b.dim(signal, 1);
      const given = window === undefined ? undefined : b.dim(window, 0);
      const frame = length === undefined ? (given ?? size) : scalarOf(b, length);
      const stride = scalarOf(b, step);
      const frames = b.add(b.div(b.sub(size, frame), stride), 1);
      const starts = b.mul(countTo(b, frames), stride);
      const places = b.add(b.unsqueeze(starts, [1]), countTo(b, frame));
      const cut = b.gather(signal, places, 1);
      const weighted = window === undefined ? cut : b.mul(cut, b.unsqueeze(window, [1]));
      return [b.op("DFT", [weighted, null, b.int(-2)], { onesided })];
    },
  },
  hostInputs: ["step", "length"],
});

interface TransformOperands {
  readonly x: Value;
  readonly length: Value | undefined;
  readonly axis: Value | undefined;
}

interface TransformAttributes {
  readonly inverse: number;
  readonly onesided: number;
}

function inferTransform(
  node: Node,
  { x, length, axis }: TransformOperands,
  { inverse, onesided }: TransformAttributes,
): TensorType | undefined {
  const type = x.tensorType;
  if (type?.shape === undefined) return type;
  const parts = type.shape.at(-1);
  if (typeof parts === "number" && parts !== 1 && parts !== 2)
    throw operatorErrors.E_BAD_OPERAND(node, "x", "1 or 2 numbers along the last axis", `${parts}`);
  const real = inverse !== 0 && onesided !== 0;
  const [at] = axis === undefined ? [-2] : (knownIntegers(axis) ?? []);
  const shape = type.shape.with(-1, real ? 1 : 2);
  if (at === undefined)
    return tensorType(
      type.dtype,
      shape.map((dim, i) => (i === shape.length - 1 ? dim : unknownDim())),
    );
  const position = axisOf(node, at, shape.length);
  const size = type.shape[position] ?? unknownDim();
  const whole = real ? mulDims(subDims(size, 1), 2) : size;
  const count = length === undefined ? whole : (contentOf(length)?.[0] ?? unknownDim());
  const bins = onesided !== 0 && inverse === 0 ? addDims(floorDivDims(count, 2), 1) : count;
  return tensorType(type.dtype, shape.with(position, bins));
}

/**
 * The transform F of n elements is symmetric, so that the gradient of `F x` is that of `conj(F) g`, n times the inverse
 * transform, and of the inverse `F g / n`. Bins that a one-sided spectrum leaves out have no gradient. In the inverse of
 * one each bin counts twice, but for those that are their own mirrors. The result is cut or padded to the length of the
 * operand.
 *
 * @throws DiagnosticError E_UNKNOWN_SIZE where it is not known whether a one-sided inverse of a given length gets the bins
 * of that length: the runtime reads others than ONNX says where not.
 */
function transformGradient(
  b: OpBuilder,
  node: Node,
  { x, length, axis }: TransformOperands,
  { inverse, onesided }: TransformAttributes,
  g: Value,
): Value {
  const [at] = axis === undefined ? [-2] : (knownIntegers(axis) ?? []);
  const position = at === undefined ? undefined : axisOf(node, at, rankOf(x));
  const place = position === undefined ? (axis ?? b.int(-2)) : b.int(position);
  const real = inverse !== 0 && onesided !== 0;
  const size = position === undefined ? b.gather(b.op("Shape", [x]), place) : b.dim(x, position);
  const whole = real ? b.mul(b.sub(size, 1), 2) : size;
  const count = length === undefined ? whole : scalarOf(b, length);
  const bins = position === undefined ? unknownDim() : dimOf(x, position);
  if (real && length !== undefined && !hasItsBins(bins, contentOf(length)?.[0]))
    throw operatorErrors.E_UNKNOWN_SIZE(
      node,
      "that its operand has the bins of the length that is asked for",
    );
  const attributes = { inverse: inverse === 0 ? 1 : 0, onesided: real ? 1 : 0 };
  const turned = b.op("DFT", [g, count, place], attributes);
  const factor = b.castLike(count, x);
  const scaled = inverse === 0 ? b.mul(turned, factor) : b.div(turned, factor);
  if (real) return stateShape(b.mul(scaled, mirrorWeights(b, x, { position, place, size, count })), x);
  // A real signal takes the real part.
  const last = rankOf(x) - 1;
  const parts = shapeVector(b, [sizeAt(x, last)]);
  const seen = dimOf(x, last) === 2 ? scaled : b.op("Slice", [scaled, b.ints([0]), parts, b.ints([last])]);
  if (length === undefined) return stateShape(seen, x);
  const missing = b.concat([b.ints([0]), b.unsqueeze(b.sub(size, count), [0])], 0);
  return stateShape(padZeros(b, seen, missing, b.unsqueeze(place, [0])), x);
}

/** How often each bin counts in a real inverse: twice, but for those that are their own mirrors. */
function mirrorWeights(
  b: OpBuilder,
  x: Value,
  {
    position,
    place,
    size,
    count,
  }: {
    readonly position: number | undefined;
    readonly place: Value;
    readonly size: Value;
    readonly count: Value;
  },
): Value {
  const bins = countTo(b, size);
  const own = b.or(b.equal(bins, 0), b.equal(b.mul(bins, 2), count));
  const weights = b.where(own, b.scalar(1, dtypeOf(x)), b.scalar(2, dtypeOf(x)));
  const rank = rankOf(x);
  if (position !== undefined)
    return b.unsqueeze(
      weights,
      countUp(rank - position - 1).map((i) => i + 1),
    );
  const ones = b.ints(new Array<number>(rank).fill(1));
  return b.reshape(weights, b.op("ScatterElements", [ones, b.unsqueeze(place, [0]), b.unsqueeze(size, [0])]));
}

/** Version 20 made an operand of the attribute `axis`, and changed its default from 1. */
function axisToInput(node: Node, b: OpBuilder): void {
  const axis = node.int("axis", 1);
  node.attributes.delete("axis");
  node.setInput(2, b.int(axis));
}

function frameDim(size: Dim, window: Value | undefined, length: Value | undefined): Dim {
  if (length !== undefined) return contentOf(length)?.[0] ?? unknownDim();
  if (window === undefined) return size;
  return window.tensorType?.shape?.[0] ?? unknownDim();
}

/** `0, 1, ... count - 1` for an int64 scalar. */
function countTo(b: OpBuilder, count: Value): Value {
  return b.op("Range", [b.int(0), count, b.int(1)]);
}

/** A length as an int64 scalar, from whole numbers of any type and a vector of one. */
function scalarOf(b: OpBuilder, value: Value): Value {
  const wide = b.cast(value, "int64");
  return rankOf(wide) === 0 ? wide : b.reshape(wide, []);
}
