/**
 * Products and convolutions of quantized whole numbers: MatMulInteger, ConvInteger, QLinearMatMul, QLinearConv.
 *
 * Those that give whole products keep their operator and are differentiated as products of real numbers. Those that quantise
 * their result are differentiated as what they are defined by: DequantizeLinear, the float operator, QuantizeLinear.
 */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { countElements, type Shape, staticShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf, shapeOf } from "../facts.ts";
import { type ConvPlan, convAxes, convInputGradient, convWeightGradient } from "../kernels/conv-gradient.ts";
import { type Convolved, convolve } from "../kernels/convolve.ts";
import { dequantize, quantize } from "../kernels/dequantize.ts";
import { matmulFlops } from "../kernels/flops.ts";
import { multiplyMatrices } from "../kernels/matmul.ts";
import { matmulGradients } from "../kernels/matmul-gradient.ts";
import { productShape } from "../kernels/matmul-shape.ts";
import { saturate, scaled, shifted } from "../kernels/quantize.ts";
import { permuteAxes } from "../kernels/rearrange.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import { requireShape } from "../kernels/require-shape.ts";
import { requireWindowAxes } from "../kernels/require-window.ts";
import { explicitPadding } from "../kernels/same-padding.ts";
import { stateShape } from "../kernels/shape-vector.ts";
import { knownWindows, paddings, planWindows, type WindowAttributes } from "../kernels/window.ts";
import { convolutionParams } from "../kernels/window-params.ts";
import { fromNumbers, NDArray } from "../ndarray.ts";
import { int } from "../params.ts";
import type { Op } from "../record.ts";

export const MatMulInteger = defineOp({
  type: "MatMulInteger",
  versions: [10],
  inputs: ["a", "b", "aZero?", "bZero?"],
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { a, b } }) => [
    tensorType("int32", productShape(node, a.tensorType?.shape, b.tensorType?.shape)),
  ],
  evaluate: ({ in: { a, b, aZero, bZero }, exact }) => {
    const product = multiplyMatrices(shifted(a, aZero, "rows"), shifted(b, bZero, "columns"), true);
    return [wholeNumbers(product.shape, product.numbers, exact)];
  },
  precision: "exact",
  cost: { flops: ({ in: { a }, out: { y } }) => matmulFlops(a, y) },
  // Either operand with its zero point taken off, as for MatMul.
  gradient: ({ in: { a, b: other, aZero, bZero }, grad, b }) => ({
    a: (index) => {
      const right = dequantize(b, other, { zero: bZero, axis: rankOf(other) - 1 });
      return matmulGradients(b, a, right, () => grad.y).left(index);
    },
    b: (index) => {
      const left = dequantize(b, a, { zero: aZero, axis: Math.max(0, rankOf(a) - 2) });
      return matmulGradients(b, left, other, () => grad.y).right(index);
    },
  }),
  quantized: { reads: ["a", "b"], makes: ["y"] },
});

export const QLinearMatMul = defineOp({
  type: "QLinearMatMul",
  versions: [10, 21],
  inputs: ["a", "aScale", "aZero", "b", "bScale", "bZero", "yScale", "yZero"],
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { a, b, yZero } }) => {
    const dtype = yZero.tensorType?.dtype ?? a.tensorType?.dtype;
    return [dtype && tensorType(dtype, productShape(node, a.tensorType?.shape, b.tensorType?.shape))];
  },
  evaluate: ({ in: { a, aScale, aZero, b, bScale, bZero, yScale, yZero }, exact }) => {
    const left = scaled(shifted(a, aZero, "rows"), aScale, "rows");
    const right = scaled(shifted(b, bZero, "columns"), bScale, "columns");
    return [saturate(multiplyMatrices(left, right, true), yScale, yZero, "rows", exact)];
  },
  precision: "exact",
  cost: { flops: ({ in: { a }, out: { y } }) => matmulFlops(a, y) },
  gradient: {
    kind: "expand",
    rule: ({ in: { a, aScale, aZero, b: other, bScale, bZero, yScale, yZero }, b }) => {
      const left = dequantize(b, a, { scale: aScale, zero: aZero, axis: Math.max(0, rankOf(a) - 2) });
      const right = dequantize(b, other, { scale: bScale, zero: bZero, axis: rankOf(other) - 1 });
      const product = b.matmul(left, b.castLike(right, left));
      const axis = Math.max(0, rankOf(product) - 2);
      return [quantize(b, product, { scale: yScale, zero: yZero, axis }, yZero)];
    },
  },
  quantized: { reads: ["a", "b"], makes: ["y"] },
});

export const ConvInteger = defineOp({
  type: "ConvInteger",
  versions: [10],
  inputs: ["x", "w", "xZero?", "wZero?"],
  outputs: ["y"],
  attributes: convolutionParams,
  infer: ({ node, in: { x, w }, attrs }) => [
    tensorType("int32", convolvedShape(node, x.tensorType?.shape, w, attrs)),
  ],
  evaluate: ({ in: { x, w, xZero, wZero }, attrs, exact }) => {
    const { shape, sums } = convolveShifted([x, xZero], [w, wZero], attrs);
    return [wholeNumbers(shape, sums, exact)];
  },
  precision: "exact",
  // As for Conv: padding stands for the zero point, which is 0 once it is taken off.
  gradient: ({ node, in: { x, w, xZero, wZero }, attrs, grad, b }) => ({
    x: () => {
      const { padded, plan, cutOff } = planConvolution(b, node, x, w, attrs);
      const weights = dequantize(b, w, { zero: wZero });
      return stateShape(cutOff(convInputGradient(b, padded, weights, grad.y, plan)), x);
    },
    w: () => {
      const { padded, plan } = planConvolution(b, node, dequantize(b, x, { zero: xZero }), w, attrs);
      return convWeightGradient(b, { big: padded, small: grad.y, w }, plan);
    },
  }),
  quantized: { reads: ["x", "w"], makes: ["y"] },
});

/** The bias is quantised with the scale of the products. */
function defineQLinearConv(domain: string): Op {
  return defineOp({
    type: "QLinearConv",
    domain,
    versions: [domain === "" ? 10 : 1],
    inputs: ["x", "xScale", "xZero", "w", "wScale", "wZero", "yScale", "yZero", "bias?"],
    outputs: ["y"],
    attributes: domain === "" ? convolutionParams : { ...convolutionParams, channels_last: int(0) },
    infer: ({ node, in: { x, w, yZero }, attrs }) => {
      const dtype = yZero.tensorType?.dtype ?? x.tensorType?.dtype;
      const from = x.tensorType?.shape;
      if (node.int("channels_last", 0) === 0 || from === undefined)
        return [dtype && tensorType(dtype, convolvedShape(node, from, w, attrs))];
      const [samples = unknownDim(), channels = unknownDim(), ...sizes] =
        convolvedShape(node, pick(from, channelsFirst(from.length)), w, attrs) ?? [];
      return [dtype && tensorType(dtype, [samples, ...sizes, channels])];
    },
    evaluate: ({ node, in: { x, xScale, xZero, w, wScale, wZero, yScale, yZero, bias }, attrs, exact }) => {
      const last = node.int("channels_last", 0) !== 0;
      const image = last ? permuteAxes(x, channelsFirst(x.rank)) : x;
      const { shape, sums } = convolveShifted([image, xZero], [w, wZero], attrs);
      const inner = countElements(shape.slice(2));
      const values = sums.map((sum, at) => {
        const channel = Math.floor(at / inner) % (shape[1] ?? 1);
        const scale = wScale.numbers[wScale.size === 1 ? 0 : channel] ?? 1;
        return (sum + (bias?.numbers[channel] ?? 0)) * scale * (xScale.numbers[0] ?? 1);
      });
      const result = saturate(new NDArray("float64", shape, values), yScale, yZero, "first", exact);
      return [last ? permuteAxes(result, channelsLast(x.rank)) : result];
    },
    precision: "exact",
    gradient: {
      kind: "expand",
      rule: ({ node, in: { x, xScale, xZero, w, wScale, wZero, yScale, yZero, bias }, b }) => {
        const { channels_last: last, ...attributes } = Object.fromEntries(node.attributes);
        const swaps = last !== undefined && node.int("channels_last", 0) !== 0;
        const rank = rankOf(x);
        const real = dequantize(b, x, { scale: xScale, zero: xZero });
        const image = swaps ? b.transpose(real, channelsFirst(rank)) : real;
        const weights = dequantize(b, w, { scale: wScale, zero: wZero });
        const scale = b.mul(b.reshape(xScale, []), wScale);
        const added = bias === undefined ? null : dequantize(b, bias, { scale });
        const result = b.op("Conv", [image, weights, added], attributes);
        const placed = swaps ? b.transpose(result, channelsLast(rank)) : result;
        return [quantize(b, placed, { scale: yScale, zero: yZero }, yZero)];
      },
    },
    quantized: { reads: ["x", "w"], makes: ["y"] },
  });
}

export const QLinearConv = defineQLinearConv("");
export const RuntimeQLinearConv = defineQLinearConv("com.microsoft");

function channelsFirst(rank: number): number[] {
  return [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, axis) => axis + 1)];
}

function channelsLast(rank: number): number[] {
  return [0, ...Array.from({ length: rank - 2 }, (_, axis) => axis + 2), 1];
}

function pick(shape: Shape, axes: readonly number[]): Shape {
  return axes.map((axis) => shape[axis] ?? unknownDim());
}

/** int32 results; in exact mode as they are, since quantised numbers are real ones there. */
function wholeNumbers(shape: readonly number[], values: Float64Array<ArrayBuffer>, exact: boolean): NDArray {
  return exact ? new NDArray("int32", shape, values) : fromNumbers("int32", shape, values);
}

type Operand = readonly [values: NDArray, zero: NDArray | undefined];

type ConvolutionAttributes = WindowAttributes & {
  readonly group: number;
  readonly kernel_shape: readonly number[] | undefined;
};

function convolveShifted(
  [x, xZero]: Operand,
  [w, wZero]: Operand,
  attrs: WindowAttributes & { readonly group: number },
): Convolved {
  const axes = knownWindows(attrs, w.shape.slice(2), x.shape.slice(2));
  return convolve(shifted(x, xZero, "first"), shifted(w, wZero, "first"), axes, attrs.group);
}

function planConvolution(
  b: OpBuilder,
  node: Node,
  x: Value,
  w: Value,
  attrs: ConvolutionAttributes,
): { padded: Value; plan: ConvPlan; cutOff: (g: Value) => Value } {
  const kernel = kernelOf(w, attrs);
  if (kernel === undefined) throw operatorErrors.E_UNKNOWN_SIZE(node, "the size of its kernel");
  const { x: padded, windows, cutOff } = explicitPadding(b, node, x, attrs, kernel);
  const plan = { axes: convAxes(windows, shapeOf(padded).slice(2)), groups: attrs.group };
  return { padded, plan, cutOff };
}

function kernelOf(w: Value, attrs: ConvolutionAttributes): readonly number[] | undefined {
  return staticShape(w.tensorType?.shape?.slice(2)) ?? attrs.kernel_shape;
}

function convolvedShape(
  node: Node,
  from: Shape | undefined,
  w: Value,
  attrs: ConvolutionAttributes,
): Shape | undefined {
  if (from === undefined) return undefined;
  requireOneOf(node, "auto_pad", attrs.auto_pad, paddings);
  requireWindowAxes(node, attrs, from.length - 2);
  const channels = from[1];
  const perGroup = typeof channels === "number" ? channels / attrs.group : undefined;
  requireShape(node, "w", w, [
    undefined,
    perGroup,
    ...(attrs.kernel_shape ?? from.slice(2).map(() => undefined)),
  ]);
  const kernel = kernelOf(w, attrs);
  const spatial = from.slice(2);
  const sizes =
    kernel === undefined
      ? spatial.map(unknownDim)
      : planWindows(attrs, kernel, spatial).map(({ output }) => output);
  return [from[0] ?? unknownDim(), w.tensorType?.shape?.[0] ?? unknownDim(), ...sizes];
}
