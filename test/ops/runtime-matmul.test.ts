/** Products of the runtime with a fused factor, transposition, bias or activation. */
import { expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const domain = "com.microsoft";
const x: OperandSpec = { shape: [2, 3] };

for (const transA of [0, 1]) {
  for (const transB of [0, 1]) {
    for (const transBatchA of [0, 1]) {
      for (const transBatchB of [0, 1]) {
        // Sizes 4 (rows), 2, 3 (batch), 5 (inner), 6 (columns), in the order that the flags ask for.
        const side = (rows: number, columns: number, transposed: number, batchFirst: number): OperandSpec => {
          const [first, last] = transposed === 1 ? [columns, rows] : [rows, columns];
          return { shape: batchFirst === 1 ? [first, 2, 3, last] : [2, 3, first, last] };
        };
        const a = side(4, 5, transA, transBatchA);
        const b = side(5, 6, transB, transBatchB);
        const attributes = { transA, transB, transBatchA, transBatchB, alpha: float(0.5) };
        const flags = [transA, transB, transBatchA, transBatchB].join("");
        checkOp(
          `flags ${flags}`,
          { op: "FusedMatMul", domain, inputs: [a, b], attributes },
          { namings: ["shared"] },
        );
      }
    }
  }
}
for (const transA of [0, 1]) {
  const a: OperandSpec = { shape: transA === 1 ? [3, 2] : [2, 3] };
  checkOp(`transA ${transA}`, {
    op: "TransposeMatMul",
    domain,
    attributes: { transA, transB: 1 - transA, alpha: float(2) },
    inputs: [a, { shape: transA === 1 ? [3, 4] : [4, 3] }],
  });
}

const fused = [
  ["Relu", {}],
  ["Tanh", {}],
  ["Sigmoid", {}],
  ["LeakyRelu", { activation_alpha: float(0.2) }],
  ["Elu", { activation_alpha: float(0.7) }],
  ["HardSigmoid", { activation_alpha: float(0.1), activation_beta: float(0.4) }],
  ["Selu", { activation_alpha: float(1.2), activation_gamma: float(1.1) }],
  ["Softplus", {}],
  ["Softsign", {}],
  ["ThresholdedRelu", { activation_alpha: float(0.3) }],
] as const;
for (const [activation, parameters] of fused) {
  const attributes = { activation, ...parameters };
  checkOp(activation, {
    op: "FusedGemm",
    domain,
    attributes: { ...attributes, transB: 1, alpha: float(0.5), beta: float(-1.5) },
    inputs: [x, { shape: [4, 3] }, { shape: [4] }],
  });
  checkOp(
    activation,
    {
      op: "FusedMatMulActivation",
      domain,
      attributes: { ...attributes, transA: 1, alpha: float(0.5) },
      inputs: [{ shape: [2, 3, 2] }, { shape: [3, 4] }],
    },
    { noRuntime: "only DirectML has a kernel" },
  );
}
checkOp("no C", {
  op: "FusedGemm",
  domain,
  attributes: { activation: "Tanh" },
  inputs: [x, { shape: [3, 4] }],
});
checkOp(
  "Softmax along an axis",
  {
    op: "FusedMatMulActivation",
    domain,
    attributes: { activation: "Softmax", activation_axis: 1 },
    inputs: [{ shape: [2, 3, 2] }, { shape: [2, 4] }],
  },
  { noRuntime: "only DirectML has a kernel" },
);
for (const bias of [null, { shape: [4] }]) {
  checkOp(
    bias === null ? "no bias" : "a bias",
    { op: "GemmFastGelu", domain, inputs: [{ shape: [2, 2, 3] }, { shape: [3, 4] }, bias] },
    { noRuntime: "only the ROCm provider has a kernel" },
  );
}

test("an activation that nothing is known of is refused", () => {
  const spec = {
    op: "FusedGemm",
    domain,
    attributes: { activation: "Cube" },
    inputs: [x, { shape: [3, 4] }],
  };
  expect(() => buildBackward(spec, "static")).toThrow(/E_BAD_ATTRIBUTE|activation/);
});
