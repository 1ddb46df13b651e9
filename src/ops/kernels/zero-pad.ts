/** Zeros around a gradient, in every float type. */
import { smallIntegers } from "../../ir/constant.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf } from "../facts.ts";

/**
 * Pad with zeros along some axes (all where they are left out). Done in float32 for bfloat16, for which no
 * provider has a kernel. The sizes are written for all axes where the rank is known: the optimizer of ONNX Runtime 1.30
 * permutes them with a transpose as if they were, and reads beyond a list for some axes only.
 *
 * @param sizes counts before each axis, then after each; negative ones cut off.
 */
export function padZeros(b: OpBuilder, x: Value, sizes: Value, axes: Value | null): Value {
  const full = axes === null ? undefined : sizesOfAll(b, x, sizes, axes);
  return inFloat32(b, [x], (wide) =>
    b.op("Pad", full === undefined ? [wide[0] ?? x, sizes, null, axes] : [wide[0] ?? x, full]),
  );
}

/** The counts before each axis, then after each, with zeros for axes that are not named; undefined where these are not known. */
function sizesOfAll(b: OpBuilder, x: Value, sizes: Value, axes: Value): Value | undefined {
  const rank = x.tensorType?.shape?.length;
  const named = smallIntegers(axes.initializer)?.map((axis) => (axis < 0 ? axis + (rank ?? 0) : axis));
  if (rank === undefined || named === undefined) return undefined;
  const places = Array.from({ length: 2 * rank }, (_, at) => {
    const index = named.indexOf(at % rank);
    return index < 0 ? undefined : at < rank ? index : index + named.length;
  });
  const known = smallIntegers(sizes.initializer);
  if (known !== undefined) return b.ints(places.map((at) => (at === undefined ? 0 : (known[at] ?? 0))));
  return b.concat(
    places.map((at) =>
      at === undefined ? b.ints([0]) : b.slice(sizes, { starts: [at], ends: [at + 1], axes: [0] }),
    ),
    0,
  );
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
