/** Conv and ConvTranspose in any number of dimensions. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { mulDims, unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { countElements, type Shape, unknownShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { shapeOf } from "../facts.ts";
import {
  type ConvAxis,
  type ConvPlan,
  convAxes,
  convBiasGradient,
  convInputGradient,
  convWeightGradient,
  orUndefined,
  windowAttributes,
} from "../kernels/conv-gradient.ts";
import { type Convolved, convolve, convolveTransposed } from "../kernels/convolve.ts";
import { convolutionFlops } from "../kernels/flops.ts";
import { once } from "../kernels/once.ts";
import { partsOfFirstAxis } from "../kernels/parts.ts";
import { countUp } from "../kernels/rearrange.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import { requireRank } from "../kernels/require-rank.ts";
import { requireShape } from "../kernels/require-shape.ts";
import { requireWindowAxes } from "../kernels/require-window.ts";
import { explicitPadding } from "../kernels/same-padding.ts";
import { stateShape } from "../kernels/shape-vector.ts";
import { type TransposedAxis, transposedWindows } from "../kernels/transposed-window.ts";
import { knownAxis, knownWindows, paddings, planWindows, type WindowAttributes } from "../kernels/window.ts";
import { convolutionParams } from "../kernels/window-params.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { amounts, counts, ints } from "../params.ts";

export const Conv = defineOp({
  type: "Conv",
  versions: [1, 11, 22],
  inputs: ["x", "w", "bias?"],
  outputs: ["y"],
  attributes: convolutionParams,
  infer: ({ node, in: { x, w, bias }, attrs }) => {
    requireOneOf(node, "auto_pad", attrs.auto_pad, paddings);
    requireLikeRanks(node, x, w);
    requireWindows(node, x, w, attrs);
    const type = x.tensorType;
    requireShape(node, "bias", bias, [w.tensorType?.shape?.[0]]);
    if (type?.shape === undefined) return [type && tensorType(type.dtype, unknownLike(w))];
    const [, channels] = type.shape;
    const perGroup = typeof channels === "number" ? channels / attrs.group : undefined;
    requireShape(node, "w", w, [undefined, perGroup, ...type.shape.slice(2).map(() => undefined)]);
    const spatial = type.shape.slice(2);
    const kernel = kernelOf(w, attrs.kernel_shape);
    const sizes =
      kernel === undefined
        ? unknownShape(spatial.length)
        : planWindows(attrs, kernel, spatial).map(({ output }) => output);
    return [
      tensorType(type.dtype, [
        type.shape[0] ?? unknownDim(),
        w.tensorType?.shape?.[0] ?? unknownDim(),
        ...sizes,
      ]),
    ];
  },
  evaluate: ({ in: { x, w, bias }, attrs, exact }) => {
    const axes = knownWindows(attrs, w.shape.slice(2), x.shape.slice(2));
    return [addBias(x, convolve(x, w, axes, attrs.group), bias, exact)];
  },
  parts: partsOfFirstAxis,
  precision: "low",
  cost: { flops: ({ in: { w }, out: { y } }) => convolutionFlops(y, shapeOf(w)) },
  gradient: ({ node, in: { x, w }, attrs, grad, b }) => {
    const padding = once(() => explicitPadding(b, node, x, attrs, knownKernel(node, w, attrs.kernel_shape)));
    const plan = once(() => ({
      axes: convAxes(padding().windows, shapeOf(padding().x).slice(2)),
      groups: attrs.group,
    }));
    return {
      x: () => stateShape(padding().cutOff(convInputGradient(b, padding().x, w, grad.y, plan())), x),
      w: () => convWeightGradient(b, { big: padding().x, small: grad.y, w }, plan()),
      bias: () => convBiasGradient(b, grad.y),
    };
  },
});

export const ConvTranspose = defineOp({
  type: "ConvTranspose",
  versions: [1, 11, 22],
  inputs: ["x", "w", "bias?"],
  outputs: ["y"],
  attributes: { ...convolutionParams, output_padding: ints(amounts), output_shape: ints(counts) },
  infer: ({ node, in: { x, w }, attrs }) => {
    requireOneOf(node, "auto_pad", attrs.auto_pad, paddings);
    requireLikeRanks(node, x, w);
    requireWindows(node, x, w, attrs);
    const type = x.tensorType;
    if (type?.shape === undefined) return [type && tensorType(type.dtype, unknownLike(w))];
    requireShape(node, "w", w, [type.shape[1], ...type.shape.slice(1).map(() => undefined)]);
    const kernel = kernelOf(w, attrs.kernel_shape);
    const spatial = type.shape.slice(2);
    const sizes =
      kernel === undefined
        ? unknownShape(spatial.length)
        : transposedWindows(attrs, kernel, spatial).map(({ output }) => output);
    const channels = mulDims(w.tensorType?.shape?.[1] ?? unknownDim(), attrs.group);
    return [tensorType(type.dtype, [type.shape[0] ?? unknownDim(), channels, ...sizes])];
  },
  evaluate: ({ in: { x, w, bias }, attrs, exact }) => {
    const axes = transposedWindows(attrs, w.shape.slice(2), x.shape.slice(2)).map(knownAxis);
    return [addBias(x, convolveTransposed(x, w, axes, attrs.group), bias, exact)];
  },
  parts: partsOfFirstAxis,
  precision: "low",
  cost: { flops: ({ in: { x, w } }) => convolutionFlops(x, shapeOf(w)) },
  // The transpose of a convolution from the result to the operand.
  gradient: ({ node, in: { x, w }, attrs, grad, b }) => {
    const plan = once(() => ({
      axes: paddedByNumbers(
        node,
        transposedWindows(attrs, knownKernel(node, w, attrs.kernel_shape), shapeOf(x).slice(2)),
      ),
      groups: attrs.group,
    }));
    return {
      x: () => stateShape(forwardConvolution(b, grad.y, w, plan()), x),
      w: () => convWeightGradient(b, { big: grad.y, small: x, w }, plan()),
      bias: () => convBiasGradient(b, grad.y),
    };
  },
});

function paddedByNumbers(node: Node, windows: readonly TransposedAxis[]): ConvAxis[] {
  return windows.map(({ before, after, ...window }) => {
    if (typeof before === "number" && typeof after === "number") return { ...window, before, after };
    throw operatorErrors.E_UNKNOWN_SIZE(
      node,
      "the spatial sizes of its operand, from which output_shape gives its padding",
    );
  });
}

/**
 * Conv of the gradient of a ConvTranspose; elements beyond the windows may make it longer than the operand.
 */
function forwardConvolution(b: OpBuilder, g: Value, w: Value, { axes, groups }: ConvPlan): Value {
  const pads = [...axes.map(({ before }) => before), ...axes.map(({ after }) => after)];
  const whole = b.op("Conv", [g, w], { ...windowAttributes(axes, groups), pads: orUndefined(pads, 0) });
  const added = axes.map(({ rest = 0, stride }) => Math.floor(rest / stride));
  const cut = countUp(axes.length).filter((axis) => added[axis] !== 0);
  if (cut.length === 0) return whole;
  return b.slice(whole, {
    starts: cut.map(() => 0),
    ends: cut.map((axis) => -(added[axis] ?? 0)),
    axes: cut.map((axis) => axis + 2),
  });
}

/** Sizes of the kernel, from the weights or the attribute. */
function kernelOf(w: Value, attribute: readonly number[] | undefined): Shape | undefined {
  const spatial = w.tensorType?.shape?.slice(2);
  return (
    spatial?.map((dim, axis) => (typeof dim === "number" ? dim : (attribute?.[axis] ?? dim))) ?? attribute
  );
}

function knownKernel(node: Node, w: Value, attribute: readonly number[] | undefined): Shape {
  const kernel = kernelOf(w, attribute);
  if (kernel === undefined) throw operatorErrors.E_UNKNOWN_SIZE(node, "the size of its kernel");
  return kernel;
}

function unknownLike(w: Value): Shape | undefined {
  const rank = w.tensorType?.shape?.length;
  return rank === undefined ? undefined : unknownShape(rank);
}

function addBias(x: NDArray, { shape, sums }: Convolved, bias: NDArray | undefined, exact: boolean): NDArray {
  if (bias === undefined) return fromNumbers(x.dtype, shape, sums, exact);
  const [channels, inner] = [shape[1] ?? 1, countElements(shape.slice(2))];
  const added = sums.map((sum, at) => sum + (bias.numbers[Math.floor(at / inner) % channels] ?? 0));
  return fromNumbers(x.dtype, shape, added, exact);
}

/** Lists have a number for each spatial axis, and kernel_shape says what the weights are. */
function requireWindows(
  node: Node,
  x: Value,
  w: Value,
  attrs: WindowAttributes & { readonly kernel_shape: readonly number[] | undefined },
): void {
  const rank = x.tensorType?.shape?.length ?? w.tensorType?.shape?.length;
  if (rank !== undefined) requireWindowAxes(node, attrs, rank - 2);
  const { kernel_shape: kernel } = attrs;
  if (kernel !== undefined) requireShape(node, "w", w, [undefined, undefined, ...kernel]);
}

/** Data and weight have one rank: batch, channels and at least one spatial axis. */
function requireLikeRanks(node: Node, x: Value, w: Value): void {
  const rank = x.tensorType?.shape?.length;
  requireRank(node, "x", x, 3, Number.POSITIVE_INFINITY);
  requireRank(node, "w", w, rank ?? 3, rank ?? Number.POSITIVE_INFINITY);
}
