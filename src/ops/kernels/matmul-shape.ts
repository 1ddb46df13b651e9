/** The shape rule of matrix products. */
import { broadcastShapes, type Shape } from "../../ir/shape.ts";

/** Shape of a product as NumPy's matmul says; vectors lose their axis. */
export function productShape(left: Shape | undefined, right: Shape | undefined): Shape | undefined {
  if (left === undefined || right === undefined) return undefined;
  const batch = broadcastShapes(left.slice(0, -2), right.slice(0, -2));
  return batch && [...batch, ...left.slice(-2, -1), ...(right.length === 1 ? [] : right.slice(-1))];
}
