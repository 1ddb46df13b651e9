/** DFT and STFT: real, complex and one-sided spectra, lengths that cut and pad, every place of the axis. */
import { describe, expect, test } from "vitest";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";
import { buildCase, evaluateCase, type OperandSpec } from "../harness/op-case.ts";
import { upgradedCase } from "../harness/upgrade.ts";

const scalar = (value: number, constant = true): OperandSpec => ({
  shape: [],
  dtype: "int64",
  values: [value],
  constant,
});

for (const size of [5, 8]) {
  for (const length of [undefined, size - 2, size + 3]) {
    const signal = (parts: number): OperandSpec => ({ shape: [2, size, parts] });
    const operands = (x: OperandSpec) => (length === undefined ? [x] : [x, scalar(length)]);
    const kind = `${size} elements, length ${length ?? "not given"}`;
    for (const inverse of [0, 1]) {
      const attributes = { inverse };
      checkOp(`real, inverse ${inverse}, ${kind}`, { op: "DFT", attributes, inputs: operands(signal(1)) });
      checkOp(`complex, inverse ${inverse}, ${kind}`, { op: "DFT", attributes, inputs: operands(signal(2)) });
    }
    checkOp(`one-sided, ${kind}`, { op: "DFT", attributes: { onesided: 1 }, inputs: operands(signal(1)) });
  }
}
for (const [bins, length] of [
  [5, undefined],
  [5, 8],
  [5, 9],
  [4, 7],
  [2, 3],
  [2, 2],
  [1, 1],
] as const) {
  checkOp(
    `one-sided inverse of ${bins} bins, length ${length ?? "not given"}`,
    {
      op: "DFT",
      attributes: { onesided: 1, inverse: 1 },
      inputs: [{ shape: [2, bins, 2] }, ...(length === undefined ? [] : [scalar(length)])],
    },
    length === undefined ? {} : { namings: ["static"] },
  );
}
for (const axis of [0, 1, 2, -2, -3, -4]) {
  const inputs = [{ shape: [2, 3, 4, 2] }, null, scalar(axis)];
  checkOp(`axis ${axis}`, { op: "DFT", inputs });
  checkOp(`one-sided inverse over axis ${axis}`, {
    op: "DFT",
    attributes: { onesided: 1, inverse: 1 },
    inputs,
  });
}
for (const axis of [1, -3]) {
  const operands = (parts: number, length: OperandSpec | null = null) => [
    { shape: [2, 3, 4, parts] },
    length,
    scalar(axis, false),
  ];
  checkOp(`axis ${axis} computed at run time`, { op: "DFT", inputs: operands(2) });
  checkOp(`real, axis ${axis} and length computed at run time`, {
    op: "DFT",
    inputs: operands(1, scalar(5, false)),
  });
  checkOp(`one-sided, axis ${axis} computed at run time`, {
    op: "DFT",
    attributes: { onesided: 1 },
    inputs: operands(1),
  });
  checkOp(`one-sided inverse, axis ${axis} computed at run time`, {
    op: "DFT",
    attributes: { onesided: 1, inverse: 1 },
    inputs: operands(2),
  });
}
checkOp("length computed at run time", {
  op: "DFT",
  attributes: { onesided: 1 },
  inputs: [{ shape: [2, 6, 1] }, scalar(7, false)],
});
describe("a one-sided inverse of other bins than its length has", () => {
  const spec = (length: number) => ({
    op: "DFT",
    attributes: { onesided: 1, inverse: 1 },
    inputs: [{ shape: [1, 5, 2], values: [1, 0, 2, -1, -0.5, 3, 0.25, 0.75, 1.5, -2] }, scalar(length)],
  });
  // As NumPy's irfft and onnx.reference; the runtime mirrors other bins.
  test.each([
    [6, [0.708333, -0.035684, 1.113034, -0.708333, -1.196367, 1.119017]],
    [10, [0.75, -0.226072, -0.097952, 1.201924, -0.171344, -0.15, -0.792181, -0.821022, 0.811477, 0.49517]],
  ])("cut or padded to length %i", (length, wanted) => {
    const [y] = evaluateCase(buildCase(spec(length), "static"));
    expect(y?.toNumbers().map((v) => Math.round(v * 1e6) / 1e6)).toEqual(wanted);
  });
  test("has no gradient as it stands", () => {
    expect(() => buildBackward(spec(6), "static")).toThrow(/E_UNKNOWN_SIZE[\s\S]*the bins of the length/);
  });
});
checkOp("length of int32", {
  op: "DFT",
  inputs: [{ shape: [2, 6, 2] }, { shape: [], dtype: "int32", values: [4], constant: true }],
});
checkOp("float64", { op: "DFT", inputs: [{ shape: [2, 8, 2], dtype: "float64" }] });
checkOp(
  "gradient of the gradient",
  { op: "DFT", attributes: { onesided: 1 }, inputs: [{ shape: [2, 6, 1] }] },
  { twice: true },
);
checkOp("nothing to transform", { op: "DFT", inputs: [{ shape: [0, 4, 2] }] });

test("spectrum of a cosine", () => {
  const values = Array.from({ length: 8 }, (_, i) => Math.cos((2 * Math.PI * 2 * i) / 8));
  const inputs = [{ shape: [1, 8, 1], values }];
  const [y] = evaluateCase(buildCase({ op: "DFT", attributes: { onesided: 1 }, inputs }, "static"));
  expect(y?.toNumbers().map((v) => Math.round(v * 1e5) / 1e5 + 0)).toEqual([0, 0, 0, 0, 4, 0, 0, 0, 0, 0]);
});

test("version 20 made an operand of the axis, whose default was 1", () => {
  const x = { shape: [2, 3, 4, 2] };
  const run = (attributes: Readonly<Record<string, number>>) =>
    evaluateCase(upgradedCase({ op: "DFT", opset: 17, attributes, inputs: [x] }))[0]?.toNumbers();
  const [over1] = evaluateCase(buildCase({ op: "DFT", inputs: [x, null, scalar(1)] }, "static"));
  const [over2] = evaluateCase(buildCase({ op: "DFT", inputs: [x, null, scalar(2)] }, "static"));
  expect(run({})).toEqual(over1?.toNumbers());
  expect(run({ axis: -2 })).toEqual(over2?.toNumbers());
});

test("an axis that is none of the signal's is refused", () => {
  expect(() => buildCase({ op: "DFT", inputs: [{ shape: [2, 3, 2] }, null, scalar(4)] }, "static")).toThrow(
    /E_BAD_AXIS[\s\S]*axis 4/,
  );
});

for (const onesided of [0, 1]) {
  const attributes = { onesided };
  const signal = { shape: [2, 11, 1] };
  checkOp(`window, one-sided ${onesided}`, {
    op: "STFT",
    attributes,
    inputs: [signal, scalar(2), { shape: [4] }],
  });
  checkOp(`length, one-sided ${onesided}`, {
    op: "STFT",
    attributes,
    inputs: [signal, scalar(3), null, scalar(5)],
  });
  checkOp(`window and length, one-sided ${onesided}`, {
    op: "STFT",
    attributes,
    inputs: [signal, scalar(5), { shape: [4] }, scalar(4)],
  });
}
checkOp(
  "complex",
  {
    op: "STFT",
    attributes: { onesided: 0 },
    inputs: [{ shape: [1, 9, 2] }, scalar(2), { shape: [4] }],
  },
  { noRuntime: "its kernel reads other elements of complex signals" },
);
checkOp("step computed at run time", {
  op: "STFT",
  inputs: [{ shape: [1, 9, 1] }, scalar(2, false), { shape: [4] }],
});
checkOp(
  "one frame of the whole signal",
  { op: "STFT", inputs: [{ shape: [1, 6, 1] }, scalar(2)] },
  {
    noRuntime: "it makes a negative number of frames",
  },
);
