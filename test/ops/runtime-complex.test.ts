/** Complex products and transforms of com.microsoft, which only the CUDA provider has kernels for. */
import { expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import { buildCase, evaluateCase, type OpCase, type OperandSpec } from "../harness/op-case.ts";

const domain = "com.microsoft";
const cudaOnly = { noRuntime: "only the CUDA provider has a kernel" };
const x: OperandSpec = { shape: [3, 4, 2] };

for (const op of ["ComplexMul", "ComplexMulConj"]) {
  checkOp("pairs", { op, domain, inputs: [x, x] }, cudaOnly);
  checkOp("a row for all", { op, domain, inputs: [x, { shape: [1, 4, 2] }] }, cudaOnly);
}

const numbers = (spec: OpCase): readonly number[] =>
  evaluateCase(buildCase(spec, "static"))[0]?.toNumbers() ?? [];
const pair = (values: readonly number[]): OperandSpec => ({ shape: [1, 2], values });
test.each([
  ["ComplexMul", [-10, 11]],
  // (2 + 3i)(1 - 4i)
  ["ComplexMulConj", [14, -5]],
] as const)("%s of 2 + 3i and 1 + 4i", (op, wanted) => {
  expect(numbers({ op, domain, inputs: [pair([2, 3]), pair([1, 4])] })).toEqual(wanted);
});

for (const length of [2, 6, 8]) {
  checkOp(
    `${length} samples`,
    { op: "Rfft", domain, inputs: [{ shape: [2, length] }] },
    { ...cudaOnly, namings: ["static"] },
  );
  const bins: OperandSpec = { shape: [2, length / 2 + 1, 2] };
  checkOp(`${length} samples`, { op: "Irfft", domain, inputs: [bins] }, { ...cudaOnly, namings: ["static"] });
  test(`Irfft takes back what Rfft made of ${length} samples`, () => {
    const values = Array.from({ length }, (_, i) => Math.sin(1 + 3 * i));
    const spectrum = numbers({ op: "Rfft", domain, inputs: [{ shape: [length], values }] });
    const shape = [length / 2 + 1, 2];
    const back = numbers({ op: "Irfft", domain, inputs: [{ shape, values: spectrum }] });
    back.forEach((value, i) => {
      expect(value).toBeCloseTo(values[i] ?? Number.NaN, 6);
    });
  });
}
test("Rfft agrees with DFT of ai.onnx", () => {
  const values = [0.5, -1, 2, 0.25, 1.5, -0.75];
  const dft = numbers({
    op: "DFT",
    attributes: { onesided: 1 },
    inputs: [{ shape: [1, 6, 1], values }, null, { shape: [], dtype: "int64", values: [1], constant: true }],
  });
  numbers({ op: "Rfft", domain, inputs: [{ shape: [1, 6], values }] }).forEach((value, i) => {
    expect(value).toBeCloseTo(dft[i] ?? Number.NaN, 5);
  });
});

test("a transform along two axes is refused", () => {
  const spec = { op: "Rfft", domain, attributes: { signal_ndim: 2 }, inputs: [{ shape: [4, 4] }] };
  expect(() => buildBackward(spec, "static")).toThrow(/one axis/);
});
