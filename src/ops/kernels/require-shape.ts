/** Refuses operands whose sizes do not fit the others of their node. */
import { type OperatorNode, operatorErrors } from "../../diagnostics/operator.ts";
import type { Dim } from "../../ir/dim.ts";
import { formatShape, type Shape } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";

/**
 * An operand of exactly this shape, as far as numbers say; undefined sizes may be any. An operand that is left out passes.
 *
 * @throws DiagnosticError `E_BAD_OPERAND`.
 */
export function requireShape(
  node: OperatorNode,
  name: string,
  value: Value | undefined,
  expected: readonly (Dim | undefined)[] | undefined,
): void {
  requireDims(node, name, value?.tensorType?.shape, expected);
}

/** The same of a shape that is not the operand's own: one with its axes in another order. */
export function requireDims(
  node: OperatorNode,
  name: string,
  shape: Shape | undefined,
  expected: readonly (Dim | undefined)[] | undefined,
): void {
  if (shape === undefined || expected === undefined) return;
  const fits = shape.length === expected.length && shape.every((dim, axis) => maySame(dim, expected[axis]));
  if (!fits) refuse(node, name, expected, shape);
}

/**
 * An operand that broadcasts to this shape without making it larger, as far as numbers say.
 *
 * @throws DiagnosticError `E_BAD_OPERAND`.
 */
export function requireBroadcastTo(
  node: OperatorNode,
  name: string,
  value: Value | undefined,
  target: Shape | undefined,
): void {
  const shape = value?.tensorType?.shape;
  if (shape === undefined || target === undefined) return;
  const offset = target.length - shape.length;
  const fits =
    offset >= 0 && shape.every((dim, axis) => dim === 1 || maySame(dim, target[axis + offset] ?? dim));
  if (!fits) refuse(node, name, target, shape, "a shape that broadcasts to ");
}

function maySame(left: Dim, right: Dim | undefined): boolean {
  return typeof left !== "number" || typeof right !== "number" || left === right;
}

function refuse(
  node: OperatorNode,
  name: string,
  expected: readonly (Dim | undefined)[],
  got: Shape,
  how = "",
): never {
  const wanted = `[${expected.map((dim) => (dim === undefined ? "any" : String(dim))).join(", ")}]`;
  throw operatorErrors.E_BAD_OPERAND(node, name, how + wanted, formatShape(got));
}
