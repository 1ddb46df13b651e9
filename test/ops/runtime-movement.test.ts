/** Operators of com.microsoft that ai.onnx has under the same or another name, crops, distances, inverses and forbidden tokens. */
import { expect, test } from "vitest";
import { floatAttribute as float } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward, gradientAt } from "../harness/gradient.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const domain = "com.microsoft";
const x: OperandSpec = { shape: [2, 3] };
const whole = (shape: readonly number[], values: readonly number[]): OperandSpec => ({
  shape,
  values,
  dtype: "int64",
  constant: true,
});

for (const upper of [0, 1]) {
  checkOp(`upper ${upper}`, { op: "Trilu", domain, attributes: { upper }, inputs: [{ shape: [2, 3, 4] }] });
  checkOp(`upper ${upper}, shifted`, {
    op: "Trilu",
    domain,
    attributes: { upper },
    inputs: [{ shape: [3, 4] }, whole([], [1])],
  });
}
for (const axis of [0, 1, 2, -1, -2, -3]) {
  const constant: OperandSpec = { shape: [], values: [axis], dtype: "int32", constant: true };
  checkOp(`axis ${axis}`, { op: "ExpandDims", domain, inputs: [x, constant] });
}
checkOp("an axis known at run time", {
  op: "ExpandDims",
  domain,
  inputs: [x, { shape: [], values: [-2], dtype: "int32" }],
});
for (const mode of ["constant", "reflect", "edge"]) {
  checkOp(mode, { op: "Pad", domain, attributes: { mode }, inputs: [x, whole([4], [1, 0, 0, 2])] });
}
checkOp("a filler, and pads of two axes", {
  op: "Pad",
  domain,
  inputs: [x, whole([1, 4], [1, 0, 0, 2]), { shape: [1] }],
});
checkOp(
  "elements that repeat",
  { op: "Unique", domain, outputs: 3, inputs: [{ shape: [5], values: [3, 1, 3, 2, 1] }] },
  { noGradient: "elements that repeat are no smooth point" },
);
checkOp("elements that differ", {
  op: "Unique",
  domain,
  outputs: 3,
  inputs: [{ shape: [4], values: [3, 1, 2, -1] }],
});
checkOp("a step of one", { op: "Range", domain, inputs: [whole([], [2]), whole([], [6])] });
checkOp(
  "a step",
  {
    op: "Range",
    domain,
    inputs: [
      { shape: [], values: [1] },
      { shape: [], values: [5.5] },
      { shape: [], values: [1.5] },
    ],
  },
  { noGradient: "how many elements there are depends on the operands" },
);

const boxes: OperandSpec = {
  shape: [3, 4],
  values: [0.05, 0.02, 0.93, 0.94, 0.12, 0.2, 0.9, 0.7, -0.2, 0.03, 1.3, 0.96],
};
const images: OperandSpec = { shape: [3], dtype: "int32", values: [0, 1, 0] };
const size = (height: number, width: number): OperandSpec => ({
  shape: [2],
  dtype: "int32",
  values: [height, width],
  constant: true,
});
for (const mode of ["bilinear", "nearest"]) {
  for (const [height, width] of [
    [3, 4],
    [1, 2],
    [1, 1],
  ] as const) {
    checkOp(
      `${mode}, ${height} by ${width}`,
      {
        op: "CropAndResize",
        domain,
        attributes: { mode, extrapolation_value: float(9) },
        inputs: [{ shape: [2, 3, 4, 5] }, boxes, images, size(height, width)],
      },
      mode === "nearest" ? { noGradient: "the place has no influence but at jumps" } : {},
    );
  }
}

for (const metric of ["euclidean", "sqeuclidean"]) {
  checkOp(metric, {
    op: "CDist",
    domain,
    attributes: { metric },
    inputs: [{ shape: [3, 2] }, { shape: [4, 2] }],
  });
}
checkOp("the default metric", { op: "CDist", domain, inputs: [{ shape: [3, 2] }, { shape: [4, 2] }] });
test("the distance of equal rows has the gradient zero", () => {
  const rows: OperandSpec = { shape: [1, 2], values: [1, 2] };
  const gradients = gradientAt({
    op: "CDist",
    domain,
    attributes: { metric: "euclidean" },
    inputs: [rows, rows],
  });
  expect(gradients.map((each) => each.map(Math.abs))).toEqual([
    [0, 0],
    [0, 0],
  ]);
});
const matrices = [4, 1, 0.5, -1, 3, 0.2, 0.3, 1, 2];
checkOp(
  "a matrix",
  { op: "Inverse", domain, inputs: [{ shape: [3, 3], values: matrices }] },
  { twice: true },
);
checkOp("rows in another order, twice", {
  op: "Inverse",
  domain,
  inputs: [{ shape: [2, 2, 2], values: [0, 2, 1, 0, 1, 2, 3, 4] }],
});

for (const ngram_size of [1, 2, 3, 6]) {
  checkOp(
    `sequences of ${ngram_size}`,
    {
      op: "NGramRepeatBlock",
      domain,
      attributes: { ngram_size },
      inputs: [{ shape: [2, 5], dtype: "int64", values: [1, 2, 3, 1, 2, 0, 0, 0, 4, 0] }, { shape: [2, 6] }],
    },
    ngram_size === 6
      ? {}
      : { noGradient: "what is forbidden is infinite, and differences of it are no numbers" },
  );
}
test("a forbidden score has the gradient zero", () => {
  const [scores] = gradientAt({
    op: "NGramRepeatBlock",
    domain,
    attributes: { ngram_size: 2 },
    inputs: [{ shape: [1, 3], dtype: "int64", values: [1, 2, 1] }, { shape: [1, 4] }],
  });
  expect(scores).toEqual([1, 1, 0, 1]);
});

test.each([
  ["a metric", { op: "CDist", attributes: { metric: "cosine" }, inputs: [x, x] }, /metric/],
  [
    "a mode",
    {
      op: "CropAndResize",
      attributes: { mode: "cubic" },
      inputs: [{ shape: [2, 3, 4, 5] }, boxes, images, size(2, 2)],
    },
    /mode/,
  ],
])("%s that is not known is refused", (_, spec, message) => {
  expect(() => buildBackward({ ...spec, domain }, "static")).toThrow(message);
});
