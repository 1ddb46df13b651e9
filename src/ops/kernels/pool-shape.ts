/** Shapes of pools, and what they are told of their windows. */
import type { Dim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { type TensorType, tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { countUp } from "./rearrange.ts";
import { requireAttribute, requireOneOf } from "./require-attribute.ts";
import { requirePoolWindow, requireWindowAxes } from "./require-window.ts";
import { paddings, planWindows, type WindowAttributes } from "./window.ts";

/** Attributes of pools over windows. */
export type PoolAttributes = WindowAttributes & { readonly kernel_shape: readonly number[] | undefined };

/** Axes of an image: all but those of samples and channels. */
export function spatialAxes(rank: number): readonly number[] {
  return countUp(rank).slice(2);
}

/** Sizes of the windows. @throws DiagnosticError E_BAD_ATTRIBUTE where there are none, or padding is no known one. */
export function poolKernel(node: Node, attrs: PoolAttributes): readonly number[] {
  requireOneOf(node, "auto_pad", attrs.auto_pad, paddings);
  return requireAttribute(node, "kernel_shape", attrs.kernel_shape);
}

/** The type of a pool over windows. */
export function inferPool(
  node: Node,
  type: TensorType | undefined,
  attrs: PoolAttributes,
): TensorType | undefined {
  const kernel = poolKernel(node, attrs);
  requireWindowAxes(node, attrs, type?.shape === undefined ? kernel.length : type.shape.length - 2);
  requirePoolWindow(node, kernel, attrs.pads);
  if (type?.shape === undefined) return type;
  const spatial = planWindows(attrs, kernel, type.shape.slice(2)).map(({ output }) => output);
  return tensorType(type.dtype, [...type.shape.slice(0, 2), ...spatial]);
}

/** The type of a pool over all places. */
export function inferGlobal(x: Value): TensorType | undefined {
  const type = x.tensorType;
  return (
    type &&
    tensorType(
      type.dtype,
      type.shape?.map((dim, axis): Dim => (axis < 2 ? dim : 1)),
    )
  );
}
