/** CausalConvWithState and LinearAttention of com.microsoft. */
import { expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import type { OpCase, OperandSpec } from "../harness/op-case.ts";

const domain = "com.microsoft";
const x: OperandSpec = { shape: [2, 3, 5] };
const w: OperandSpec = { shape: [3, 1, 4], constant: true };
const bias: OperandSpec = { shape: [3] };
const conv: OpCase = { op: "CausalConvWithState", domain, outputs: 2, inputs: [x, w, bias] };

checkOp("no past", conv);
checkOp("no bias", { ...conv, inputs: [x, w] });
checkOp("silu", { ...conv, attributes: { activation: "silu" } });
checkOp("the past", { ...conv, inputs: [x, w, bias, { shape: [2, 3, 3] }] });
checkOp("a dilation and the past", {
  ...conv,
  attributes: { dilation: 2, activation: "swish" },
  inputs: [x, w, bias, { shape: [2, 3, 6] }],
});

const q: OperandSpec = { shape: [2, 4, 6], range: [-1, 1] };
const heads = { q_num_heads: 2, kv_num_heads: 2 };
const spec: OpCase = { op: "LinearAttention", domain, outputs: 2, inputs: [q, q, q] };
const decay: OperandSpec = { shape: [2, 4, 2], range: [-1, 0] };
const beta: OperandSpec = { shape: [2, 4, 2], range: [0, 1] };
const fixed = { namings: ["static"] } as const;

checkOp("linear", { ...spec, attributes: { ...heads, update_rule: "linear" } }, fixed);
checkOp(
  "gated",
  { ...spec, attributes: { ...heads, update_rule: "gated" }, inputs: [q, q, q, null, decay] },
  fixed,
);
checkOp(
  "delta",
  { ...spec, attributes: { ...heads, update_rule: "delta" }, inputs: [q, q, q, null, null, beta] },
  fixed,
);
checkOp(
  "gated delta, a scale and the past",
  {
    ...spec,
    attributes: { ...heads, scale: float(0.7) },
    inputs: [q, q, q, { shape: [2, 2, 3, 3] }, decay, beta],
  },
  fixed,
);
checkOp(
  "queries that share heads, and a decay for each key",
  {
    ...spec,
    attributes: { q_num_heads: 4, kv_num_heads: 2, update_rule: "gated" },
    inputs: [{ shape: [2, 4, 12], range: [-1, 1] }, q, q, null, { shape: [2, 4, 6], range: [-1, 0] }],
  },
  fixed,
);

test.each([
  ["channels last", { ...conv, attributes: { channels_last: 1 } }, /channels first/],
  [
    "a window of states",
    { ...spec, attributes: { ...heads, update_rule: "linear", state_window: 2 } },
    /window of 2/,
  ],
])("%s is refused", (_, each, message) => {
  expect(() => buildBackward(each, "static")).toThrow(message);
});
