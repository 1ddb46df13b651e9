/** What rules must know of types and shapes before they may drop a node, with the reason where it is not known. */
import { dtypeFromCode } from "../../ir/dtype.ts";
import type { Node } from "../../ir/node.ts";
import { shapesEqual } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { Verdict } from "../rule.ts";

/** Whether two values have the same shape for every size of the model's axes. */
export function haveSameShape(left: Value, right: Value): boolean {
  const [first, second] = [left.tensorType?.shape, right.tensorType?.shape];
  return first !== undefined && second !== undefined && shapesEqual(first, second);
}

/** Whether the first result of the root has the shape of `x`. */
export function keepsShape(x: Value, root: Node): Verdict {
  return haveSameShape(x, root.output(0)) || "the shape is not known to stay";
}

/** Whether a value has the element type of an ONNX code. */
export function hasTypeOfCode(x: Value, code: number | undefined): boolean {
  return code !== undefined && x.tensorType !== undefined && x.tensorType.dtype === dtypeFromCode(code);
}
