/** Conv and ConvTranspose in any number of dimensions. */
import { InternalError } from "../../diagnostics/define.ts";
import { mulDims, unknownDim } from "../../ir/dim.ts";
import { type Shape, unknownShape } from "../../ir/shape.ts";
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
import { once } from "../kernels/once.ts";
import { countElements, countUp } from "../kernels/rearrange.ts";
import { explicitPadding } from "../kernels/same-padding.ts";
import { type TransposedAxis, transposedWindows } from "../kernels/transposed-window.ts";
import { knownWindows, planWindows } from "../kernels/window.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { int, ints, text } from "../params.ts";

const windowParams = {
  auto_pad: text("NOTSET"),
  kernel_shape: ints(),
  pads: ints(),
  strides: ints(),
  dilations: ints(),
  group: int(1),
};

export const Conv = defineOp({
  type: "Conv",
  versions: [1, 11, 22],
  inputs: ["x", "w", "bias?"],
  outputs: ["y"],
  attributes: windowParams,
  infer: ({ in: { x, w }, attrs }) => {
    const type = x.tensorType;
    if (type?.shape === undefined) return [type && tensorType(type.dtype, unknownLike(w))];
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
  precision: "low",
  gradient: ({ in: { x, w }, attrs, grad, b }) => {
    const padding = once(() => explicitPadding(b, x, attrs, knownKernel(w, attrs.kernel_shape)));
    const plan = once(() => ({
      axes: convAxes(padding().windows, shapeOf(padding().x).slice(2)),
      groups: attrs.group,
    }));
    return {
      x: () => padding().cutOff(convInputGradient(b, padding().x, w, grad.y, plan())),
      w: () => convWeightGradient(b, padding().x, grad.y, plan()),
      bias: () => convBiasGradient(b, grad.y),
    };
  },
});

export const ConvTranspose = defineOp({
  type: "ConvTranspose",
  versions: [1, 11, 22],
  inputs: ["x", "w", "bias?"],
  outputs: ["y"],
  attributes: { ...windowParams, output_padding: ints(), output_shape: ints() },
  infer: ({ in: { x, w }, attrs }) => {
    const type = x.tensorType;
    if (type?.shape === undefined) return [type && tensorType(type.dtype, unknownLike(w))];
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
    const axes = transposedWindows(attrs, w.shape.slice(2), x.shape.slice(2)).map(
      ({ before, after, output, ...rest }) => {
        if (typeof before !== "number" || typeof after !== "number" || typeof output !== "number") {
          throw new InternalError("a window of sizes that are not known");
        }
        return { ...rest, before, after, output };
      },
    );
    return [addBias(x, convolveTransposed(x, w, axes, attrs.group), bias, exact)];
  },
  precision: "low",
  // The transpose of a convolution from the result to the operand.
  gradient: ({ in: { x, w }, attrs, grad, b }) => {
    const plan = once(() => ({
      axes: paddedByNumbers(
        transposedWindows(attrs, knownKernel(w, attrs.kernel_shape), shapeOf(x).slice(2)),
      ),
      groups: attrs.group,
    }));
    return {
      x: () => forwardConvolution(b, grad.y, w, plan()),
      w: () => convWeightGradient(b, grad.y, x, plan()),
      bias: () => convBiasGradient(b, grad.y),
    };
  },
});

function paddedByNumbers(windows: readonly TransposedAxis[]): ConvAxis[] {
  return windows.map(({ before, after, ...window }) => {
    if (typeof before === "number" && typeof after === "number") return { ...window, before, after };
    throw new InternalError("ConvTranspose with output_shape needs the size of its operand");
  });
}

/** Conv of the gradient of a ConvTranspose; elements beyond the windows may make it longer than the operand. */
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
function kernelOf(w: Value, attribute: readonly number[] | undefined): readonly number[] | undefined {
  const spatial = w.tensorType?.shape?.slice(2);
  const numbers = spatial?.filter((dim): dim is number => typeof dim === "number");
  return numbers !== undefined && numbers.length === spatial?.length ? numbers : attribute;
}

function knownKernel(w: Value, attribute: readonly number[] | undefined): readonly number[] {
  const kernel = kernelOf(w, attribute);
  if (kernel === undefined) throw new InternalError(`the kernel size of "${w.name}" is not known`);
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
