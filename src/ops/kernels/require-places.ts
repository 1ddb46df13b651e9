/** Refuses indices that name no place in the tensor which they point into, as far as shapes say. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import { axisOf } from "./reduction-axes.ts";
import { requireDims, requireShape } from "./require-shape.ts";

/**
 * Indices of single elements, along one axis and like the tensor along the others (ONNX GatherElements, ScatterElements).
 *
 * @throws DiagnosticError `E_BAD_AXIS`, `E_BAD_OPERAND`.
 */
export function requireElements(node: Node, x: Value, indices: Value, axis: number, updates?: Value): void {
  const [shape, places] = [x.tensorType?.shape, indices.tensorType?.shape];
  if (shape !== undefined) axisOf(node, axis, shape.length);
  requireDims(
    node,
    "indices",
    places,
    shape?.map(() => undefined),
  );
  requireShape(node, "updates", updates, places);
}

/**
 * Indices of rows: those along the last axis name a place each, behind axes that the tensor and they share (ONNX GatherND,
 * ScatterND).
 *
 * @throws DiagnosticError `E_BAD_ATTRIBUTE`, `E_BAD_OPERAND`.
 */
export function requireRows(node: Node, x: Value, indices: Value, batches: number, updates?: Value): void {
  const [shape, places] = [x.tensorType?.shape, indices.tensorType?.shape];
  if (shape === undefined || places === undefined) return;
  const most = Math.min(shape.length, places.length) - 1;
  if (batches < 0 || batches > most)
    throw operatorErrors.E_BAD_ATTRIBUTE(node, "batch_dims", `from 0 to ${most}`, `${batches}`);
  requireDims(node, "indices", places.slice(0, batches), shape.slice(0, batches));
  const width = places.at(-1);
  if (typeof width !== "number") return;
  if (width < 1 || width > shape.length - batches) {
    const expected = `from 1 to ${shape.length - batches} indices along the last axis`;
    throw operatorErrors.E_BAD_OPERAND(node, "indices", expected, `${width}`);
  }
  requireShape(node, "updates", updates, [...places.slice(0, -1), ...shape.slice(width)]);
}
