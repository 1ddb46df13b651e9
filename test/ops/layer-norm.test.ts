/** LayerNormalization and RMSNormalization. */
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const x: OperandSpec = { shape: [2, 3, 4] };
const scale: OperandSpec = { shape: [4], range: [0.5, 1.5] };
const bias: OperandSpec = { shape: [4] };

for (const outputs of [1, 2, 3]) {
  const some = { op: "LayerNormalization", outputs };
  checkOp(`${outputs} results`, { ...some, inputs: [x, scale, bias] });
  checkOp(`no bias, ${outputs} results`, { ...some, inputs: [x, scale] });
  checkOp(`two axes, ${outputs} results`, {
    ...some,
    attributes: { axis: 1 },
    inputs: [x, { ...scale, shape: [3, 4] }, { ...bias, shape: [3, 4] }],
  });
}
for (const reads of [[0], [1], [2], [1, 2]]) {
  checkOp(`of three results only ${reads}`, {
    op: "LayerNormalization",
    outputs: 3,
    reads,
    inputs: [x, scale, bias],
  });
}
for (const op of ["LayerNormalization", "RMSNormalization"]) {
  checkOp("names of their own", { op, opset: 23, inputs: [x, scale] }, { namings: ["separate"] });
}
checkOp("a large epsilon", {
  op: "LayerNormalization",
  attributes: { epsilon: float(0.5) },
  inputs: [x, scale, bias],
});
checkOp("a row of equal elements", {
  op: "LayerNormalization",
  attributes: { epsilon: float(0.1) },
  inputs: [{ shape: [2, 4], values: [3, 3, 3, 3, 1, 2, 3, 4] }, scale, bias],
});
checkOp(
  "float64",
  {
    op: "LayerNormalization",
    inputs: [
      { ...x, dtype: "float64" },
      { ...scale, dtype: "float64" },
      { ...bias, dtype: "float64" },
    ],
  },
  { noRuntime: "the kernel computes in float32" },
);
checkOp(
  "a scale for all columns",
  { op: "LayerNormalization", inputs: [x, { ...scale, shape: [1] }] },
  { noRuntime: "the kernel wants one scale per column" },
);

const rms = { op: "RMSNormalization", opset: 23 };
checkOp("the last axis", { ...rms, inputs: [x, scale] });
checkOp("two axes", { ...rms, attributes: { axis: -2 }, inputs: [x, { ...scale, shape: [3, 4] }] });
checkOp("a large epsilon", { ...rms, attributes: { epsilon: float(0.5) }, inputs: [x, scale] });
checkOp("float64", {
  ...rms,
  inputs: [
    { ...x, dtype: "float64" },
    { ...scale, dtype: "float64" },
  ],
});
