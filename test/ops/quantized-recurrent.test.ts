/** DynamicQuantizeLSTM: gradients of all that is float, and values near those of the kernel, which rounds its data. */
import { expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { buildCase, evaluateCase, type OpCase, type OperandSpec } from "../harness/op-case.ts";
import { runModel } from "../harness/runtime.ts";

const weights = (shape: readonly number[], dtype: "int8" | "uint8"): OperandSpec => ({
  shape,
  dtype,
  range: dtype === "int8" ? [-100, 100] : [20, 220],
  constant: true,
});
const zeros = (shape: readonly number[], dtype: "int8" | "uint8"): OperandSpec => ({
  shape,
  dtype,
  range: dtype === "int8" ? [0, 0] : [120, 120],
  constant: true,
});
const state: OperandSpec = { shape: [1, 2, 3], range: [-1, 1] };
const scales = (shape: readonly number[]): OperandSpec => ({ shape, range: [0.002, 0.006] });

function lstm(
  dtype: "int8" | "uint8",
  directions: number,
  scaleShape: readonly number[],
  extra: Partial<OpCase> = {},
): OpCase {
  const many = { ...state, shape: [directions, 2, 3] };
  return {
    op: "DynamicQuantizeLSTM",
    domain: "com.microsoft",
    attributes: { hidden_size: 3, direction: directions === 2 ? "bidirectional" : "forward" },
    outputs: 3,
    inputs: [
      ...[{ shape: [4, 2, 2], range: [-1, 1] } as const, weights([directions, 2, 12], dtype)],
      ...[weights([directions, 3, 12], dtype), { shape: [directions, 24], range: [-1, 1] } as const, null],
      ...[
        many,
        many,
        null,
        scales(scaleShape),
        zeros(scaleShape, dtype),
        scales(scaleShape),
        zeros(scaleShape, dtype),
      ],
    ],
    ...extra,
  };
}

const noRuntime = "the kernel rounds data and states, which is compared below";
const cases: readonly (readonly [string, OpCase])[] = [
  ["signed weights", lstm("int8", 1, [1])],
  ["unsigned weights, both directions", lstm("uint8", 2, [2])],
  ["a scale for each column", lstm("int8", 1, [1, 12])],
];

for (const [name, spec] of cases) {
  checkOp(name, spec, { noRuntime });
  test(`${name}: near the kernel`, async () => {
    const built = buildCase(spec, "static");
    const [exact, rounded] = [evaluateCase(built), await runModel(built.model, built.feeds)];
    exact.forEach((array, index) => {
      const errors = array
        ?.toNumbers()
        .map((value, at) => Math.abs(value - Number(rounded[index]?.numbers[at])));
      expect(Math.max(...(errors ?? [Number.NaN]))).toBeLessThan(0.02);
    });
  });
}
