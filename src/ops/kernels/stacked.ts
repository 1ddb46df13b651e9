/** Results of the iterations of a body along a new axis: as types, as arrays, and as values of copies. */
import { InternalError } from "../../diagnostics/define.ts";
import type { Dim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import type { Inferred } from "../record.ts";
import { concatenate } from "./rearrange.ts";
import { axisOf } from "./reduction-axes.ts";

/** The type of one iteration's result, stacked along a new axis. */
export function stackedType(node: Node, output: Value, axis: number, length: Dim): Inferred {
  const type = output.tensorType;
  if (type?.shape === undefined) return type;
  const at = axisOf(node, axis, type.shape.length + 1);
  return tensorType(type.dtype, type.shape.toSpliced(at, 0, length));
}

/** Adds the result of one iteration. */
export function pushOne(node: Node, stack: NDArray[], array: NDArray | undefined, axis: number): void {
  if (array === undefined) throw new InternalError("a body gave fewer results than it has outputs");
  const at = axisOf(node, axis, array.rank + 1);
  stack.push(array.reshaped(array.shape.toSpliced(at, 0, 1)));
}

/** Results of all iterations along a new axis; without any, the body's type says what is empty. */
export function joinStack(
  node: Node,
  stack: readonly NDArray[],
  output: Value | undefined,
  axis: number,
): NDArray {
  const [first] = stack;
  if (first !== undefined) return concatenate(stack, axisOf(node, axis, first.rank));
  const type = output?.tensorType;
  const shape = (type?.shape ?? []).map((dim) => (typeof dim === "number" ? dim : 0));
  const at = axisOf(node, axis, shape.length + 1);
  return fromNumbers(type?.dtype ?? "float32", shape.toSpliced(at, 0, 0), []);
}
