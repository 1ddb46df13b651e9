/** Losses made of likelihoods. */
import { checkOp } from "../harness/check-op.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const rows: OperandSpec = { shape: [4, 3], range: [-2, 2] };
const labels: OperandSpec = { shape: [4], dtype: "int64", values: [2, 0, -100, 1] };
const plain: OperandSpec = { ...labels, values: [2, 0, 1, 1] };
const weights: OperandSpec = { shape: [3], values: [0.5, 1.5, 2] };
const pixels: OperandSpec = { shape: [2, 3, 2, 2], range: [-2, 2] };
const pixelLabels: OperandSpec = { shape: [2, 2, 2], dtype: "int32", values: [0, 1, 2, 0, 1, 1, 0, 2] };

for (const op of ["SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"]) {
  for (const reduction of ["none", "sum", "mean"]) {
    const attributes = { reduction };
    checkOp(reduction, { op, attributes, inputs: [rows, plain] });
    checkOp(`${reduction}, weights`, { op, attributes, inputs: [rows, plain, weights] });
    checkOp(`${reduction}, ignored`, {
      op,
      attributes: { ...attributes, ignore_index: -100 },
      inputs: [rows, labels],
    });
    checkOp(`${reduction}, weights, ignored`, {
      op,
      attributes: { ...attributes, ignore_index: -100 },
      inputs: [rows, labels, weights],
    });
    checkOp(`${reduction}, pixels`, { op, attributes, inputs: [pixels, pixelLabels, weights] });
  }
  checkOp("a class to ignore", { op, attributes: { ignore_index: 1 }, inputs: [rows, plain, weights] });
  checkOp("float64", {
    op,
    inputs: [
      { ...rows, dtype: "float64" },
      { ...plain, dtype: "int64" },
      { ...weights, dtype: "float64" },
    ],
  });
}
checkOp("only log_prob", {
  op: "SoftmaxCrossEntropyLoss",
  outputs: 2,
  reads: [1],
  inputs: [rows, plain, weights],
});
for (const reduction of ["none", "mean"]) {
  checkOp(`${reduction}, with log_prob`, {
    op: "SoftmaxCrossEntropyLoss",
    outputs: 2,
    attributes: { reduction, ignore_index: -100 },
    inputs: [rows, labels, weights],
  });
}
