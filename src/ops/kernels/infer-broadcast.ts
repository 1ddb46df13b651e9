/** Shape rules shared by element-wise operators. */
import { type OperatorNode, operatorErrors } from "../../diagnostics/operator.ts";
import type { Dim } from "../../ir/dim.ts";
import type { DType } from "../../ir/dtype.ts";
import { broadcastShapes, formatShape, type Shape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { Inferred } from "../record.ts";

/**
 * Type of an element-wise result over broadcast operands.
 *
 * @param dtype element type of the result; that of the first operand where it is left out.
 * @param onContent arithmetic on symbolic contents, where the operator keeps shape computations alive.
 * @throws DiagnosticError `E_BROADCAST` for shapes that can never be broadcast.
 */
export function inferBroadcast(
  node: OperatorNode,
  operands: readonly Value[],
  dtype?: DType,
  onContent?: (left: Dim, right: Dim) => Dim,
): Inferred {
  const types = operands.map((operand) => operand.tensorType);
  const resultType = dtype ?? types[0]?.dtype;
  if (resultType === undefined) return undefined;
  const shapes = types.map((type) => type?.shape);
  const known = shapes.filter((shape): shape is Shape => shape !== undefined);
  const type = tensorType(
    resultType,
    known.length === shapes.length ? requireBroadcast(node, known) : undefined,
  );
  const content = onContent === undefined ? undefined : pairContents(operands, onContent);
  return content === undefined ? type : { type, content };
}

/** The shape that others broadcast to. @throws DiagnosticError `E_BROADCAST` where they never do. */
export function requireBroadcast(node: OperatorNode, shapes: readonly Shape[]): Shape {
  const shape = broadcastShapes(...shapes);
  if (shape === undefined) throw operatorErrors.E_BROADCAST(node, shapes.map(formatShape));
  return shape;
}

function pairContents(
  operands: readonly Value[],
  fn: (left: Dim, right: Dim) => Dim,
): readonly Dim[] | undefined {
  const [left, right] = operands.map((operand) => operand.content);
  if (left === undefined || right === undefined || operands.length !== 2) return undefined;
  if (left.length !== right.length && left.length !== 1 && right.length !== 1) return undefined;
  const length = left.length === 1 ? right.length : left.length;
  return Array.from({ length }, (_, i) =>
    fn(left[left.length === 1 ? 0 : i] ?? 0, right[right.length === 1 ? 0 : i] ?? 0),
  );
}
