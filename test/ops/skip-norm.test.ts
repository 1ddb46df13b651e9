/** SkipLayerNormalization, SkipSimplifiedLayerNormalization and SimplifiedLayerNormalization. */
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const domain = "com.microsoft";
const x: OperandSpec = { shape: [2, 3, 4] };
const vector: OperandSpec = { shape: [4] };
const gamma: OperandSpec = { shape: [4], range: [0.5, 1.5] };
const attributes = { epsilon: float(1e-3) };

const forms = {
  SkipLayerNormalization: (skip: OperandSpec, beta: OperandSpec | null, bias: OperandSpec | null) => [
    ...[x, skip, gamma],
    beta,
    bias,
  ],
  SkipSimplifiedLayerNormalization: (skip: OperandSpec, _: unknown, bias: OperandSpec | null) => [
    ...[x, skip, gamma],
    bias,
  ],
};

for (const [op, inputs] of Object.entries(forms)) {
  const some = { op, domain, attributes };
  checkOp("beta and bias", { ...some, inputs: inputs(x, vector, vector) }, { twice: true });
  checkOp("a bias", { ...some, inputs: inputs(x, null, vector) });
  checkOp("beta", { ...some, inputs: inputs(x, vector, null) });
  checkOp("the default epsilon", { op, domain, inputs: inputs(x, vector, null) });
  checkOp("one skip for all rows", { ...some, inputs: inputs({ shape: [1, 3, 4] }, vector, vector) });
  checkOp("a skip without the batch", { ...some, inputs: inputs({ shape: [3, 4] }, vector, null) });
  checkOp("names of their own", { ...some, inputs: inputs(x, vector, vector) }, { namings: ["separate"] });
  checkOp("an empty batch", {
    ...some,
    inputs: [{ shape: [0, 3, 4] }, { shape: [0, 3, 4] }, gamma],
  });
  checkOp("rows of tokens", { ...some, inputs: [{ shape: [5, 4] }, { shape: [5, 4] }, gamma] });
  for (const reads of [[0, 3], [3]]) {
    checkOp(`results ${reads}`, { ...some, outputs: 4, reads, inputs: inputs(x, vector, vector) });
  }
  for (const reads of [[1], [0, 1, 2, 3]]) {
    checkOp(
      `results ${reads}`,
      { ...some, outputs: 4, reads, inputs: inputs(x, vector, vector) },
      { noRuntime: "the CPU kernel leaves the statistics out" },
    );
  }
}
checkOp("float16", {
  op: "SkipLayerNormalization",
  domain,
  attributes,
  inputs: [x, x, gamma, vector, vector].map((operand) => ({ ...operand, dtype: "float16" })),
});

const simplified = { op: "SimplifiedLayerNormalization" };
for (const outputs of [1, 2]) {
  checkOp(`${outputs} results`, { ...simplified, outputs, inputs: [x, gamma] }, { twice: true });
  checkOp(`two axes, ${outputs} results`, {
    ...simplified,
    outputs,
    attributes: { axis: 1 },
    inputs: [x, { ...gamma, shape: [3, 4] }],
  });
}
checkOp("the deviation alone", { ...simplified, outputs: 2, reads: [1], inputs: [x, gamma] });
checkOp("float16 and a float32 scale", { ...simplified, inputs: [{ ...x, dtype: "float16" }, gamma] });
checkOp("opset 14", { ...simplified, opset: 14, inputs: [x, gamma] }, { noGradient: "rules speak opset 20" });

const layer = { op: "LayerNormalization", opset: 14 };
checkOp(
  "the runtime's own, before opset 17",
  { ...layer, outputs: 3, inputs: [x, gamma, vector] },
  { noGradient: "rules speak opset 20" },
);
checkOp(
  "a scale of another type",
  { ...layer, inputs: [{ ...x, dtype: "float16" }, gamma, vector] },
  { noGradient: "rules speak opset 20" },
);
