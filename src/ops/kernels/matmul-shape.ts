/** The shape rule of matrix products. */
import { type OperatorNode, operatorErrors } from "../../diagnostics/operator.ts";
import { formatShape, type Shape } from "../../ir/shape.ts";
import { requireBroadcast } from "./infer-broadcast.ts";

/**
 * Shape of a product as NumPy's matmul says; vectors lose their axis.
 *
 * @throws DiagnosticError `E_BAD_OPERAND`, `E_BROADCAST` for shapes that can never be multiplied.
 */
export function productShape(
  node: OperatorNode,
  left: Shape | undefined,
  right: Shape | undefined,
): Shape | undefined {
  if (left === undefined || right === undefined) return undefined;
  const [columns, rows] = [left.at(-1), right.length === 1 ? right[0] : right.at(-2)];
  if (columns === undefined || rows === undefined)
    throw operatorErrors.E_BAD_OPERAND(
      node,
      columns === undefined ? "a" : "b",
      "a tensor with axes",
      "a scalar",
    );
  if (typeof columns === "number" && typeof rows === "number" && columns !== rows)
    throw operatorErrors.E_BAD_OPERAND(node, "b", `${columns} rows, as "a" has columns`, formatShape(right));
  const batch = requireBroadcast(node, [left.slice(0, -2), right.slice(0, -2)]);
  return [...batch, ...left.slice(-2, -1), ...(right.length === 1 ? [] : right.slice(-1))];
}
