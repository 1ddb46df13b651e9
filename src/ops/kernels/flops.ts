/** Floating-point operations of products, a multiplication and an addition counted as two. */
import { type Dim, floorDivDims, mulDims } from "../../ir/dim.ts";
import { type Shape, sizeOf } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import { dimOf, shapeOf } from "../facts.ts";

/** 2 M K N of a product whose left operand has `inner` columns. */
export function productFlops(y: Value, inner: Dim): Dim {
  return mulDims(mulDims(2, sizeOf(shapeOf(y))), inner);
}

/** The same for a left operand that is read as it is, or with its last two axes exchanged. */
export function matmulFlops(a: Value, y: Value, transposed = false): Dim {
  return productFlops(y, dimOf(a, transposed ? -2 : -1));
}

/** Each element of the side that windows are laid over meets one column of the weights, `[channels, columns...]`. */
export function convolutionFlops(side: Value, weights: Shape): Dim {
  return mulDims(mulDims(2, sizeOf(shapeOf(side))), floorDivDims(sizeOf(weights), weights[0] ?? 1));
}
