/** Activations that the runtime's optimizer writes. */
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";

const domain = "com.microsoft";
for (const op of ["Gelu", "FastGelu", "QuickGelu"]) {
  checkOp("a matrix", { op, domain, inputs: [{ shape: [3, 5] }] });
}
for (const op of ["FastGelu", "BiasGelu"]) {
  checkOp("a bias", { op, domain, inputs: [{ shape: [3, 5] }, { shape: [5] }] });
}
checkOp("alpha", { op: "QuickGelu", domain, attributes: { alpha: float(0.7) }, inputs: [{ shape: [3, 5] }] });
