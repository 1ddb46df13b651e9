/** Refuses operands of one node whose sizes contradict each other. */
import { type OperatorNode, operatorErrors } from "../../diagnostics/operator.ts";
import type { Dim } from "../../ir/dim.ts";
import { formatShape, type Shape } from "../../ir/shape.ts";

/**
 * Each operand is given with the names of its axes, such as `"batch length width"`: axes of one name have one size, as far
 * as numbers say, and `_` may be any. Operands that are left out, or whose rank is not known, pass.
 *
 * @param sizes of names that are known without the operands.
 * @throws DiagnosticError `E_BAD_OPERAND`.
 */
export function requireSizes(
  node: OperatorNode,
  operands: Readonly<Record<string, readonly [shape: Shape | undefined, axes: string]>>,
  sizes: Readonly<Record<string, Dim | undefined>> = {},
): void {
  const known = new Map<string, number>();
  for (const [name, size] of Object.entries(sizes)) if (typeof size === "number") known.set(name, size);
  for (const [name, [shape, spelled]] of Object.entries(operands)) {
    if (shape === undefined) continue;
    const axes = spelled.split(" ");
    const fits = shape.every(
      (dim, at) => typeof dim !== "number" || (known.get(axes[at] ?? "_") ?? dim) === dim,
    );
    if (!fits || shape.length !== axes.length) {
      const expected = axes.map((axis) => known.get(axis) ?? axis).join(", ");
      throw operatorErrors.E_BAD_OPERAND(node, name, `[${expected}]`, formatShape(shape));
    }
    axes.forEach((axis, at) => {
      const dim = shape[at];
      if (axis !== "_" && typeof dim === "number") known.set(axis, dim);
    });
  }
}
