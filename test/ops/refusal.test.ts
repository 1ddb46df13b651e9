/** Bad input: axes that operands do not have are refused by name. */
import { describe, expect, test } from "vitest";
import { DiagnosticError } from "../../src/diagnostics/define.ts";
import { buildCase, type OpCase, type OperandSpec } from "../harness/op-case.ts";

const x: OperandSpec = { shape: [2, 3] };
const scale: OperandSpec = { shape: [3] };
const axes = (value: number): OperandSpec => ({
  shape: [1],
  dtype: "int64",
  values: [value],
  constant: true,
});

const cases: readonly (readonly [OpCase, string])[] = [
  ...["Softmax", "LogSoftmax", "Hardmax", "LpNormalization", "ArgMax", "ArgMin"].map(
    (op) => [{ op, attributes: { axis: 2 }, inputs: [x] }, "axis 2"] as const,
  ),
  [{ op: "LayerNormalization", attributes: { axis: -3 }, inputs: [x, scale] }, "axis -3"],
  [{ op: "RMSNormalization", opset: 23, attributes: { axis: 5 }, inputs: [x, scale] }, "axis 5"],
  [{ op: "MeanVarianceNormalization", inputs: [x] }, "axis 2"],
  ...["ReduceSum", "ReduceMax", "ReduceLogSumExp"].map(
    (op) => [{ op, inputs: [x, axes(2)] }, "axis 2"] as const,
  ),
];

describe("an axis that the operand does not have", () => {
  test.each(cases)("$op", (spec, got) => {
    let caught: unknown;
    try {
      buildCase(spec, "static");
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(DiagnosticError);
    const [diagnostic] = caught instanceof DiagnosticError ? caught.diagnostics : [];
    expect(diagnostic?.code).toBe("E_BAD_AXIS");
    expect(diagnostic?.message).toContain(spec.op);
    expect(diagnostic?.got).toContain(got);
  });
});
