/** Attention: layouts, grouped heads, masks, the past, and the capped scores. */
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const spec = { op: "Attention", opset: 23 };
const q: OperandSpec = { shape: [2, 2, 3, 4] };
const mask: OperandSpec = { shape: [3, 3], dtype: "bool", values: [1, 0, 1, 1, 1, 0, 0, 1, 1] };

checkOp("four axes", { ...spec, inputs: [q, q, q] });
checkOp("causal", { ...spec, attributes: { is_causal: 1 }, inputs: [q, q, q] });
checkOp("scale", { ...spec, attributes: { scale: float(0.3) }, inputs: [q, q, q] });
checkOp("softcap", { ...spec, attributes: { softcap: float(1.5) }, inputs: [q, q, q] });
checkOp("a mask of truth values", { ...spec, inputs: [q, q, q, mask] });
checkOp("a mask to add", { ...spec, inputs: [q, q, q, { shape: [2, 1, 3, 3] }] });
checkOp("three axes", {
  ...spec,
  attributes: { q_num_heads: 2, kv_num_heads: 2 },
  inputs: [{ shape: [2, 3, 8] }, { shape: [2, 5, 8] }, { shape: [2, 5, 6] }],
});
checkOp("grouped heads of three axes", {
  ...spec,
  attributes: { q_num_heads: 4, kv_num_heads: 2, is_causal: 1 },
  inputs: [{ shape: [2, 3, 16] }, { shape: [2, 3, 8] }, { shape: [2, 3, 8] }],
});
checkOp(
  "grouped heads of four axes",
  { ...spec, inputs: [{ shape: [2, 4, 3, 4] }, q, q] },
  { namings: ["static"] },
);
checkOp("the past, causal", {
  ...spec,
  attributes: { is_causal: 1 },
  outputs: 3,
  inputs: [q, q, q, null, { shape: [2, 2, 5, 4] }, { shape: [2, 2, 5, 4] }],
});
checkOp("lengths without padding", {
  ...spec,
  opset: 24,
  inputs: [q, q, q, null, null, null, { shape: [2], dtype: "int64", values: [2, 3] }],
});
checkOp(
  "a window",
  {
    ...spec,
    opset: 25,
    attributes: { left_window_size: 1, right_window_size: 0 },
    inputs: [q, q, q],
  },
  { noRuntime: "the runtime does not know the window attributes of version 25" },
);
checkOp("a query that sees no key", {
  ...spec,
  inputs: [q, q, q, { shape: [3, 3], dtype: "bool", values: [1, 0, 1, 0, 0, 0, 0, 1, 1] }],
});
