/** Swish in operators that the runtime has in every opset: it has the function of ONNX for models of opset 24 alone. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";

/** `x sigmoid(alpha x)` */
export function swish(b: OpBuilder, x: Value, alpha: number): Value {
  return b.mul(x, b.op("Sigmoid", [alpha === 1 ? x : b.mul(x, alpha)]));
}
