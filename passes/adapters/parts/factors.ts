/** Factors of low-rank products: found by name where options decide which there are, and multiplied over windows. */
import { InternalError } from "../../../src/diagnostics/define.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";

export type Params = Readonly<Record<string, Value>>;

/** A tensor that the options at hand call for. */
export function factorOf(params: Params, name: string): Value {
  const value = params[name];
  if (value === undefined) throw new InternalError(`the method has no factor ${name}`);
  return value;
}

/**
 * The Tucker form of a window's weight (FedPara, proposition 3): (rank, outputs), (rank, rank, window...) and (rank, inputs)
 * to (outputs, inputs, window).
 */
export function windowedProduct(
  { left, core, right }: { readonly left: Value; readonly core: Value; readonly right: Value },
  { rank, outputs, window }: { readonly rank: number; readonly outputs: number; readonly window: number },
  b: OpBuilder,
): Value {
  const flat = b.reshape(core, [rank, rank * window]);
  const wide = b.reshape(b.matmul(b.transpose(left, [1, 0]), flat), [outputs, rank, window]);
  return b.transpose(b.matmul(b.transpose(wide, [2, 0, 1]), right), [1, 2, 0]);
}
