/**
 * Products and convolutions of quantized whole numbers: MatMulInteger, ConvInteger, QLinearMatMul,
 * QLinearConv.
 */
import { unknownDim } from "../../ir/dim.ts";
import { countElements, type Shape, staticShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { defineOp, none } from "../define.ts";
import { type Convolved, convolve } from "../kernels/convolve.ts";
import { multiplyMatrices } from "../kernels/matmul.ts";
import { productShape } from "../kernels/matmul-shape.ts";
import { saturate, scaled, shifted } from "../kernels/quantize.ts";
import { knownWindows, planWindows, type WindowAttributes } from "../kernels/window.ts";
import { convolutionParams } from "../kernels/window-params.ts";
import { fromNumbers, NDArray } from "../ndarray.ts";

const wholeNumbers =
  "its operands are whole numbers, which carry no gradient: adapt a copy with float weights";

export const MatMulInteger = defineOp({
  type: "MatMulInteger",
  versions: [10],
  inputs: ["a", "b", "aZero?", "bZero?"],
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { a, b } }) => [tensorType("int32", productShape(a.tensorType?.shape, b.tensorType?.shape))],
  evaluate: ({ in: { a, b, aZero, bZero } }) => {
    const product = multiplyMatrices(shifted(a, aZero, "rows"), shifted(b, bZero, "columns"), true);
    return [fromNumbers("int32", product.shape, product.numbers)];
  },
  precision: "exact",
  gradient: none(wholeNumbers),
});

export const QLinearMatMul = defineOp({
  type: "QLinearMatMul",
  versions: [10, 21],
  inputs: ["a", "aScale", "aZero", "b", "bScale", "bZero", "yScale", "yZero"],
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { a, b, yZero } }) => {
    const dtype = yZero.tensorType?.dtype ?? a.tensorType?.dtype;
    return [dtype && tensorType(dtype, productShape(a.tensorType?.shape, b.tensorType?.shape))];
  },
  evaluate: ({ in: { a, aScale, aZero, b, bScale, bZero, yScale, yZero } }) => {
    const left = scaled(shifted(a, aZero, "rows"), aScale, "rows");
    const right = scaled(shifted(b, bZero, "columns"), bScale, "columns");
    return [saturate(multiplyMatrices(left, right, true), yScale, yZero, "rows")];
  },
  precision: "exact",
  gradient: none(wholeNumbers),
});

export const ConvInteger = defineOp({
  type: "ConvInteger",
  versions: [10],
  inputs: ["x", "w", "xZero?", "wZero?"],
  outputs: ["y"],
  attributes: convolutionParams,
  infer: ({ in: { x, w }, attrs }) => [tensorType("int32", convolvedShape(x, w, attrs))],
  evaluate: ({ in: { x, w, xZero, wZero }, attrs }) => {
    const { shape, sums } = convolveShifted([x, xZero], [w, wZero], attrs);
    return [fromNumbers("int32", shape, sums)];
  },
  precision: "exact",
  gradient: none(wholeNumbers),
});

export const QLinearConv = defineOp({
  type: "QLinearConv",
  versions: [10],
  inputs: ["x", "xScale", "xZero", "w", "wScale", "wZero", "yScale", "yZero", "bias?"],
  outputs: ["y"],
  attributes: convolutionParams,
  infer: ({ in: { x, w, yZero }, attrs }) => {
    const dtype = yZero.tensorType?.dtype ?? x.tensorType?.dtype;
    return [dtype && tensorType(dtype, convolvedShape(x, w, attrs))];
  },
  evaluate: ({ in: { x, xScale, xZero, w, wScale, wZero, yScale, yZero, bias }, attrs }) => {
    const { shape, sums } = convolveShifted([x, xZero], [w, wZero], attrs);
    const inner = countElements(shape.slice(2));
    // The bias is quantized with the scale of the products.
    const values = sums.map((sum, at) => {
      const channel = Math.floor(at / inner) % (shape[1] ?? 1);
      const scale = wScale.numbers[wScale.size === 1 ? 0 : channel] ?? 1;
      return (sum + (bias?.numbers[channel] ?? 0)) * scale * (xScale.numbers[0] ?? 1);
    });
    return [saturate(new NDArray("float64", shape, values), yScale, yZero, "first")];
  },
  precision: "exact",
  gradient: none(wholeNumbers),
});

type Operand = readonly [values: NDArray, zero: NDArray | undefined];

function convolveShifted(
  [x, xZero]: Operand,
  [w, wZero]: Operand,
  attrs: WindowAttributes & { readonly group: number },
): Convolved {
  const axes = knownWindows(attrs, w.shape.slice(2), x.shape.slice(2));
  return convolve(shifted(x, xZero, "first"), shifted(w, wZero, "first"), axes, attrs.group);
}

function convolvedShape(
  x: Value,
  w: Value,
  attrs: WindowAttributes & { readonly kernel_shape: readonly number[] | undefined },
): Shape | undefined {
  const [from, weights] = [x.tensorType?.shape, w.tensorType?.shape];
  if (from === undefined) return undefined;
  const kernel = staticShape(weights?.slice(2)) ?? attrs.kernel_shape;
  const spatial = from.slice(2);
  const sizes =
    kernel === undefined
      ? spatial.map(unknownDim)
      : planWindows(attrs, kernel, spatial).map(({ output }) => output);
  return [from[0] ?? unknownDim(), weights?.[0] ?? unknownDim(), ...sizes];
}
