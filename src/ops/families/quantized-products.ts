/**
 * Products of the runtime's own with quantised operands and float results: DynamicQuantizeMatMul, MatMulIntegerToFloat; and QGemm.
 *
 * The first two keep their operator; data that DynamicQuantizeMatMul quantises by itself is differentiated as if it had not been
 * rounded. QGemm is differentiated as what it is defined by: DequantizeLinear, Gemm, QuantizeLinear.
 */
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { convertElements } from "../kernels/convert.ts";
import { dequantize, quantize } from "../kernels/dequantize.ts";
import { mapPair } from "../kernels/elementwise.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { matmulFlops } from "../kernels/flops.ts";
import { multiplyMatrices } from "../kernels/matmul.ts";
import { matmulGradients } from "../kernels/matmul-gradient.ts";
import { productShape } from "../kernels/matmul-shape.ts";
import { once } from "../kernels/once.ts";
import { dynamicScale, quantizeArray, scaled, shifted } from "../kernels/quantize.ts";
import { fromNumbers, NDArray } from "../ndarray.ts";
import { float, int } from "../params.ts";

/** Numbers with the scale and zero point of all, or of each column. */
interface Columns {
  readonly numbers: Value;
  readonly scale: Value;
  readonly zero: Value | undefined;
}

/** `y = a @ ((b - zero) * scale) + bias`, with `a` quantised to uint8 by its own range first. */
export const DynamicQuantizeMatMul = defineOp({
  type: "DynamicQuantizeMatMul",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["a", "b", "bScale", "bZero?", "bias?"],
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { a, b } }) => [
    tensorType("float32", productShape(node, a.tensorType?.shape, b.tensorType?.shape)),
  ],
  evaluate: ({ in: { a, b, bScale, bZero, bias }, exact }) => {
    const { scale, zero } = dynamicScale(convertElements(a, "float64").numbers, exact);
    const range = { scale: scalarArray("float32", scale), zero: scalarArray("uint8", zero) };
    const numbers = quantizeArray(a, { ...range, axis: 0, block_size: 0, saturate: 1 }, "uint8", exact);
    const left = scaled(shifted(numbers, range.zero, "rows"), range.scale, "rows");
    return [product(left, scaled(shifted(b, bZero, "columns"), bScale, "columns"), bias, exact)];
  },
  precision: "full",
  cost: { flops: ({ in: { a }, out: { y } }) => matmulFlops(a, y) },
  gradient: ({ in: { a, b: numbers, bScale, bZero }, grad, b }) => {
    const columns = { numbers, scale: bScale, zero: bZero };
    return {
      a: (index) => matmulGradients(b, a, realColumns(b, columns), () => grad.y).left(index),
      b: (index) => b.mul(matmulGradients(b, a, numbers, () => grad.y).right(index), bScale),
      bScale: () => scaleGradient(b, grad.y, a, columns),
      bias: () => grad.y,
    };
  },
  quantized: { reads: ["b"] },
});

/** `y = ((a - zero) * scale) @ ((b - zero) * scale) + bias`. */
export const MatMulIntegerToFloat = defineOp({
  type: "MatMulIntegerToFloat",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["a", "b", "aScale", "bScale", "aZero?", "bZero?", "bias?"],
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { a, b, aScale } }) => {
    const dtype = aScale.tensorType?.dtype;
    return [dtype && tensorType(dtype, productShape(node, a.tensorType?.shape, b.tensorType?.shape))];
  },
  evaluate: ({ in: { a, b, aScale, bScale, aZero, bZero, bias }, exact }) => {
    const left = scaled(shifted(a, aZero, "rows"), aScale, "rows");
    return [product(left, scaled(shifted(b, bZero, "columns"), bScale, "columns"), bias, exact)];
  },
  precision: "full",
  cost: { flops: ({ in: { a }, out: { y } }) => matmulFlops(a, y) },
  gradient: ({ in: { a, b: numbers, aScale, bScale, aZero, bZero }, grad, b }) => {
    const columns = { numbers, scale: bScale, zero: bZero };
    const left = once(() => dequantize(b, a, { scale: aScale, zero: aZero }));
    const byLeft = once(() => matmulGradients(b, a, realColumns(b, columns), () => grad.y).left(0));
    return {
      // The scale of the data is one for all.
      a: () => b.mul(byLeft(), b.reshape(aScale, [])),
      aScale: () => {
        const sum = b.reduceSum(b.mul(byLeft(), dequantize(b, a, { zero: aZero })), undefined, false);
        return rankOf(aScale) === 0 ? sum : b.reshape(sum, [1]);
      },
      b: (index) => b.mul(matmulGradients(b, left(), numbers, () => grad.y).right(index), bScale),
      bScale: () => scaleGradient(b, grad.y, left(), columns),
      bias: () => grad.y,
    };
  },
  quantized: { reads: ["a", "b"] },
});

/** `alpha A B + C`, where C has the scale of the products; quantised where a scale of the result is given. */
export const QGemm = defineOp({
  type: "QGemm",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["a", "aScale", "aZero", "b", "bScale", "bZero", "c?", "yScale?", "yZero?"],
  ranks: { a: 2, b: 2 },
  outputs: ["y"],
  attributes: { alpha: float(1), transA: int(0), transB: int(0) },
  infer: ({ in: { a, b, aScale, yZero }, attrs: { transA, transB } }) => {
    const dtype = yZero?.tensorType?.dtype ?? aScale.tensorType?.dtype;
    const rows = a.tensorType?.shape?.[transA === 0 ? 0 : 1];
    const columns = b.tensorType?.shape?.[transB === 0 ? 1 : 0];
    const known = rows !== undefined && columns !== undefined;
    return [dtype && tensorType(dtype, known ? [rows, columns] : undefined)];
  },
  evaluate: byExpansion,
  precision: "exact",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { a, aScale, aZero, b: other, bScale, bZero, c, yScale, yZero }, attrs, b }) => {
      const left = dequantize(b, a, { scale: aScale, zero: aZero });
      const right = dequantize(b, other, { scale: bScale, zero: bZero, axis: attrs.transB === 0 ? 1 : 0 });
      const scale = b.mul(b.mul(b.reshape(aScale, []), bScale), attrs.alpha);
      const added = c && dequantize(b, c, { scale, axis: Math.max(0, rankOf(c) - 1) });
      const result = b.op("Gemm", [left, right, added ?? null], Object.fromEntries(node.attributes));
      if (yScale === undefined || yZero === undefined) return [result];
      return [quantize(b, result, { scale: yScale, zero: yZero }, yZero)];
    },
  },
  quantized: { reads: ["a", "b", "c"], makes: ["y"] },
});

function realColumns(b: OpBuilder, { numbers, scale, zero }: Columns): Value {
  return dequantize(b, numbers, { scale, zero, axis: rankOf(numbers) - 1 });
}

/** The sum over rows of `g * (left @ (b - zero))`: what a change of each column's scale does. */
function scaleGradient(b: OpBuilder, g: Value, left: Value, columns: Columns): Value {
  const shifted = dequantize(b, columns.numbers, { zero: columns.zero, axis: rankOf(columns.numbers) - 1 });
  const products = b.mul(b.cast(g, "float32"), b.matmul(b.cast(left, "float32"), shifted));
  const axes = Array.from({ length: rankOf(products) - 1 }, (_, axis) => axis);
  const { scale } = columns;
  if (rankOf(scale) === 1 && scale.tensorType?.shape?.[0] !== 1)
    return b.castLike(b.reduceSum(products, axes, false), scale);
  const sum = b.castLike(b.reduceSum(products, undefined, false), scale);
  return rankOf(scale) === 0 ? sum : b.reshape(sum, [1]);
}

function scalarArray(dtype: "float32" | "uint8", value: number): NDArray {
  return new NDArray(dtype, [], Float64Array.of(value));
}

function product(left: NDArray, right: NDArray, bias: NDArray | undefined, exact: boolean): NDArray {
  const wide = multiplyMatrices(left, right, true);
  const sums =
    bias === undefined
      ? wide
      : mapPair(wide, convertElements(bias, "float64"), { numbers: (x, y) => x + y }, { exact: true });
  return fromNumbers("float32", sums.shape, sums.numbers, exact);
}
