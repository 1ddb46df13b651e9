/** Gates of recent models in com.microsoft. */
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const domain = "com.microsoft";
const x: OperandSpec = { shape: [2, 3, 8] };

checkOp("a gate for each row", { op: "GatedAdd", domain, inputs: [x, x, { shape: [2, 3, 1] }] });
for (const size of [8, 4, 2]) {
  const scale: OperandSpec = { shape: [size], constant: true };
  checkOp(`heads of ${size}`, { op: "GatedRMSNorm", domain, inputs: [x, scale, x] });
}
checkOp(
  "an epsilon and a scale that is an input",
  { op: "GatedRMSNorm", domain, attributes: { epsilon: float(0.1) }, inputs: [x, { shape: [4] }, x] },
  { namings: ["static"] },
);
const head: OperandSpec = { shape: [4] };
const a: OperandSpec = { shape: [2, 3, 4] };
checkOp("the decay", { op: "LinearAttentionGate", domain, inputs: [a, head, head] });
checkOp("decay and rate", { op: "LinearAttentionGate", domain, outputs: 2, inputs: [a, head, head, a] });
checkOp("float16", {
  op: "LinearAttentionGate",
  domain,
  inputs: [{ ...a, dtype: "float16" }, head, head],
});
const keys: OperandSpec = { shape: [2, 3, 2, 4] };
const scales: OperandSpec = { shape: [2, 4] };
checkOp(
  "two streams",
  { op: "EngramGate", domain, inputs: [keys, keys, { shape: [2, 3, 4] }, scales, scales] },
  { namings: ["static"] },
);
