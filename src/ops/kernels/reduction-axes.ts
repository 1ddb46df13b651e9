/** Which axes a reduction runs over, and how its result spreads back over the operand. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
import { countElements, normalizeAxis, staticShape } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf, shapeOf } from "../facts.ts";
import { contentOf } from "./content.ts";

/** Elements of an operand that holds axes or sizes, where all are known; undefined otherwise. */
export function knownIntegers(value: Value | undefined): readonly number[] | undefined {
  return staticShape(contentOf(value));
}

/** The position of an axis that may count from the end. @throws DiagnosticError E_BAD_AXIS where there is none. */
export function axisOf(node: Node, axis: number, rank: number): number {
  const position = normalizeAxis(axis, rank);
  if (position === undefined) throw operatorErrors.E_BAD_AXIS(node, axis, rank);
  return position;
}

/** Axes as positions, ascending and each once: every axis where none are given, unless `noop` keeps all. */
export function resolveAxes(
  node: Node,
  axes: readonly number[] | undefined,
  rank: number,
  noop: boolean,
): readonly number[] {
  if (axes === undefined || axes.length === 0)
    return noop ? [] : Array.from({ length: rank }, (_, axis) => axis);
  const positions = new Set(axes.map((axis) => axisOf(node, axis, rank)));
  return [...positions].sort((a, b) => a - b);
}

/** The axes from `axis` to the last. */
export function axesFrom(node: Node, axis: number, rank: number): readonly number[] {
  const first = axisOf(node, axis, rank);
  return Array.from({ length: rank - first }, (_, index) => first + index);
}

/** Every axis but those given. */
export function axesExcept(kept: readonly number[], rank: number): readonly number[] {
  return Array.from({ length: rank }, (_, axis) => axis).filter((axis) => !kept.includes(axis));
}

/** `1/n` as a number or a scalar of the type of `x`, where n is the number of elements along the axes of `x`. */
export function reciprocalCount(b: OpBuilder, x: Value, axes: readonly number[]): Value | number {
  const shape = shapeOf(x);
  const fixed = axes.map((axis) => shape[axis] ?? 1).filter((dim) => typeof dim === "number");
  const factor = countElements(fixed);
  const open = axes.filter((axis) => typeof shape[axis] !== "number");
  if (open.length === 0) return 1 / factor;
  const sizes = open.map((axis) => b.dim(x, axis));
  const product = sizes.reduce((left, right) => b.mul(left, right));
  const count = factor === 1 ? product : b.mul(product, factor);
  // A count may lie beyond the largest float16, its reciprocal does not.
  const dtype = dtypeOf(x);
  return b.cast(b.reciprocal(b.cast(count, dtype === "float64" ? "float64" : "float32")), dtype);
}
