/** Products of matrices: MatMul and Gemm. */
import { floatAttribute } from "../../ir/attribute.ts";
import { unknownDim } from "../../ir/dim.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { broadcastTo } from "../kernels/elementwise.ts";
import { matmulFlops } from "../kernels/flops.ts";
import { multiplyMatrices } from "../kernels/matmul.ts";
import { matmulGradients } from "../kernels/matmul-gradient.ts";
import { productShape } from "../kernels/matmul-shape.ts";
import { permuteAxes } from "../kernels/rearrange.ts";
import { requireBroadcastTo, requireShape } from "../kernels/require-shape.ts";
import { rebuild } from "../kernels/select-along.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { float, int } from "../params.ts";
import type { PartsContext, SelectContext } from "../record.ts";

export const MatMul = defineOp({
  type: "MatMul",
  versions: [1, 9, 13],
  inputs: ["a", "b"],
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { a, b } }) => {
    const type = a.tensorType ?? b.tensorType;
    return [type && tensorType(type.dtype, productShape(node, a.tensorType?.shape, b.tensorType?.shape))];
  },
  evaluate: ({ in: { a, b }, exact }) => [multiplyMatrices(a, b, exact)],
  parts: partsOfMatMul,
  precision: "low",
  select: selectRows,
  cost: { flops: ({ in: { a }, out: { y } }) => matmulFlops(a, y), packs: "b" },
  gradient: ({ in: { a, b: right }, grad, b }) => {
    const gradients = matmulGradients(b, a, right, () => grad.y);
    return { a: gradients.left, b: gradients.right };
  },
});

export const Gemm = defineOp({
  type: "Gemm",
  versions: [1, 6, 7, 9, 11, 13],
  inputs: ["a", "b", "c?"],
  ranks: { a: 2, b: 2, c: [0, 2] },
  outputs: ["y"],
  attributes: { alpha: float(1), beta: float(1), transA: int(0), transB: int(0) },
  infer: ({ node, in: { a, b, c }, attrs: { transA, transB } }) => {
    const type = a.tensorType ?? b.tensorType;
    const inner = a.tensorType?.shape?.[transA === 0 ? 1 : 0];
    requireShape(node, "b", b, transB === 0 ? [inner, undefined] : [undefined, inner]);
    const rows = a.tensorType?.shape?.[transA === 0 ? 0 : 1] ?? unknownDim();
    const columns = b.tensorType?.shape?.[transB === 0 ? 1 : 0] ?? unknownDim();
    requireBroadcastTo(node, "c", c, [rows, columns]);
    return [type && tensorType(type.dtype, [rows, columns])];
  },
  evaluate: ({ in: { a, b, c }, attrs: { alpha, beta, transA, transB }, exact }) => {
    const [left, right] = [transposedIf(a, transA), transposedIf(b, transB)];
    const product = multiplyMatrices(left, right, c === undefined ? exact : true, alpha);
    if (c === undefined) return [product];
    const added = broadcastTo(c, product.shape).toNumbers();
    const sums = product.toNumbers().map((value, i) => value + beta * (added[i] ?? 0));
    return [fromNumbers(a.dtype, product.shape, sums, exact)];
  },
  parts: partsOfGemm,
  precision: "low",
  cost: {
    flops: ({ in: { a }, out: { y }, attrs: { transA } }) => matmulFlops(a, y, transA !== 0),
    packs: "b",
  },
  // With A' and B' as they are multiplied: dA' = alpha g B'^T, dB' = alpha A'^T g, and transposed where A or
  // B were.
  gradient: ({ in: { a, b: right, c }, attrs: { alpha, beta, transA, transB }, grad, b }) => {
    const product = (x: Value, y: Value, tx: boolean, ty: boolean): Value => multiply(b, x, y, tx, ty, alpha);
    const [fromA, fromB] = [transA !== 0, transB !== 0];
    return {
      a: () => (fromA ? product(right, grad.y, fromB, true) : product(grad.y, right, false, !fromB)),
      b: () => (fromB ? product(grad.y, a, true, fromA) : product(a, grad.y, !fromA, false)),
      c: () => (beta === 1 || c === undefined ? grad.y : b.mul(grad.y, beta)),
    };
  },
});

function transposedIf(x: NDArray, flag: number): NDArray {
  return flag === 0 ? x : permuteAxes(x, [1, 0]);
}

function multiply(b: OpBuilder, x: Value, y: Value, transA: boolean, transB: boolean, alpha: number): Value {
  return b.op("Gemm", [x, y], {
    alpha: alpha === 1 ? undefined : floatAttribute(alpha),
    transA: transA ? 1 : undefined,
    transB: transB ? 1 : undefined,
  });
}

/** Rows of a product are products of rows. */
function selectRows(context: SelectContext): Value | undefined {
  const [a, right] = [context.node.input(0), context.node.input(1)];
  const [rows, columns] = [a?.tensorType?.shape?.length, right?.tensorType?.shape?.length];
  if (rows === undefined || columns === undefined || rows < columns || columns < 2) return undefined;
  return context.axis === rows - 2 || (columns === 2 && context.axis < rows - 2)
    ? rebuild(context, (_, index) => (index === 0 ? context.axis : undefined))
    : undefined;
}

/** Rows of the left operand, or stacked matrices; a product over the rows of both is a sum over parts. */
function partsOfMatMul({ node, axisOf, isSum }: PartsContext): number | "sum" | undefined {
  const [a, right] = [node.input(0), node.input(1)];
  if (a === undefined || right === undefined || isSum(0) || isSum(1)) return undefined;
  const [left, other] = [axisOf(0), axisOf(1)];
  const [fromA, fromB] = [rankOf(a), rankOf(right)];
  if (fromA < 2 || fromB < 2) return undefined;
  const rank = Math.max(fromA, fromB);
  const [x, y] = [left === undefined ? left : left - fromA, other === undefined ? other : other - fromB];
  if (x === -1 || y === -2) return x === -1 && y === -2 ? "sum" : undefined;
  if (x !== undefined && y !== undefined) return x === y && x < -2 ? rank + x : undefined;
  const found = x ?? y;
  return found === undefined ? undefined : rank + found;
}

function partsOfGemm({ node, axisOf, isSum }: PartsContext): number | "sum" | undefined {
  const [a, right, c] = [axisOf(0), axisOf(1), axisOf(2)];
  if ([0, 1, 2].some(isSum)) return undefined;
  const [inner, columns] = [node.int("transA", 0) === 0 ? 1 : 0, node.int("transB", 0) === 0 ? 1 : 0];
  if (a === inner || right === 1 - columns)
    return a === inner && right === 1 - columns && node.input(2) === undefined ? "sum" : undefined;
  if (a !== undefined && right !== undefined) return undefined;
  const found = a !== undefined ? 0 : right !== undefined ? 1 : undefined;
  const added = node.input(2);
  if (c === undefined || added === undefined) return found;
  return found !== undefined && c - rankOf(added) === found - 2 ? found : undefined;
}
