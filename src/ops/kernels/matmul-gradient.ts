/** Gradients of MatMul for every pair of ranks. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { isNarrower, rankOf } from "../facts.ts";
import type { GradientThunk } from "../record.ts";
import { once } from "./once.ts";
import { productOf, reshapeTo, type Size, sizeAt, sizesOf } from "./shape-vector.ts";

/** Gradients of the operands of `left @ right`; the driver sums over batches that were broadcast. */
export function matmulGradients(
  b: OpBuilder,
  left: Value,
  right: Value,
  g: () => Value,
): { readonly left: GradientThunk; readonly right: GradientThunk } {
  if (rankOf(left) === 1) return rowGradients(b, left, right, g);
  if (rankOf(right) === 1) return columnGradients(b, left, right, g);
  if (rankOf(right) === 2) return weightGradients(b, left, right, g);
  return {
    left: () => b.matmul(g(), b.transposeLast(right)),
    // Of the two operands the narrower one is turned, and the product with it: what is wide is read as it lies.
    right: () =>
      isNarrower(g(), left)
        ? b.transposeLast(b.matmul(b.transposeLast(g()), left))
        : b.matmul(b.transposeLast(left), g()),
  };
}

/** The vector on the left is a row, which the result has lost. */
function rowGradients(
  b: OpBuilder,
  left: Value,
  right: Value,
  g: () => Value,
): ReturnType<typeof matmulGradients> {
  const rank = rankOf(right);
  if (rank === 1) return { left: () => b.mul(g(), right), right: () => b.mul(g(), left) };
  const row = once(() => b.unsqueeze(g(), [-2]));
  return {
    left: () =>
      rank === 2 ? b.matmul(right, g()) : b.squeeze(b.matmul(row(), b.transposeLast(right)), [-2]),
    right: () => b.mul(b.unsqueeze(left, [1]), row()),
  };
}

/** The vector on the right is a column, which the result has lost. */
function columnGradients(
  b: OpBuilder,
  left: Value,
  right: Value,
  g: () => Value,
): ReturnType<typeof matmulGradients> {
  return {
    left: () => b.mul(b.unsqueeze(g(), [-1]), right),
    right: () => b.matmul(b.reshape(g(), [-1]), asMatrix(b, left, sizeAt(right, 0))),
  };
}

/**
 * A weight matrix on the right: one product of two matrices each, whatever the batch axes of the left. Gemm
 * reads the weight as it lies; a Transpose of a constant would be folded by the runtime into a second copy.
 */
function weightGradients(
  b: OpBuilder,
  left: Value,
  right: Value,
  g: () => Value,
): ReturnType<typeof matmulGradients> {
  // The weight is the operand whose sizes are most likely known.
  const [inner, columns] = [sizeAt(right, 0), sizeAt(right, 1)];
  const rows = once(() => asMatrix(b, g(), columns));
  return {
    left: () => {
      const product = b.op("Gemm", [rows(), right], { transB: 1 });
      return reshapeTo(b, product, [...sizesOf(left, 0, rankOf(left) - 1), inner]);
    },
    right: () => b.op("Gemm", [asMatrix(b, left, inner), rows()], { transA: 1 }),
  };
}

/** All axes but the last, of the given size, as one. */
function asMatrix(b: OpBuilder, value: Value, columns: Size): Value {
  const rank = rankOf(value);
  return rank === 2 ? value : reshapeTo(b, value, [productOf(sizesOf(value, 0, rank - 1)), columns]);
}
