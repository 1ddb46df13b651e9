/** Zeros around a gradient, in every float type. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf } from "../facts.ts";

/**
 * Pad with zeros along some axes (all where they are left out). Done in float32 for bfloat16, for which no
 * provider has a kernel.
 *
 * @param sizes counts before each axis, then after each; negative ones cut off.
 */
export function padZeros(b: OpBuilder, x: Value, sizes: Value, axes: Value | null): Value {
  return inFloat32(b, [x], (wide) => b.op("Pad", [wide[0] ?? x, sizes, null, axes]));
}

/**
 * Runs an operator that no provider has for bfloat16 in float32, which holds every value of it; other types
 * as they are.
 */
export function inFloat32(
  b: OpBuilder,
  operands: readonly Value[],
  run: (operands: readonly Value[]) => Value,
): Value {
  const [first] = operands;
  if (first === undefined || dtypeOf(first) !== "bfloat16") return run(operands);
  return b.cast(run(operands.map((operand) => b.cast(operand, "float32"))), "bfloat16");
}
