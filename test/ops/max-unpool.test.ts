/** MaxUnpool. */
import { checkOp } from "../harness/check-op.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const namings = ["static", "shared", "separate"] as const;
const indices = (shape: readonly number[], values: readonly number[]): OperandSpec => ({
  shape,
  dtype: "int64",
  values,
});
const shapeOf = (values: readonly number[], how: object): OperandSpec => ({
  shape: [values.length],
  dtype: "int64",
  values,
  ...how,
});
const x = { shape: [1, 2, 2, 2] };
const attributes = { kernel_shape: [2, 2], strides: [2, 2] };
const places = indices([1, 2, 2, 2], [5, 7, 13, 15, 16, 19, 28, 27]);

checkOp("where maxima were", { op: "MaxUnpool", inputs: [x, places], attributes }, { namings });
for (const how of [{ constant: true }, { host: true }]) {
  const asked = shapeOf([1, 2, 4, 4], how);
  checkOp("a shape asked for", { op: "MaxUnpool", inputs: [x, places, asked], attributes }, { namings });
}
checkOp("one dimension", {
  op: "MaxUnpool",
  inputs: [{ shape: [2, 1, 3] }, indices([2, 1, 3], [0, 2, 5, 6, 9, 11])],
  attributes: { kernel_shape: [2], strides: [2] },
});
checkOp("padding", {
  op: "MaxUnpool",
  inputs: [{ shape: [1, 1, 2, 2] }, indices([1, 1, 2, 2], [0, 2, 6, 8])],
  attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
});
checkOp("three dimensions", {
  op: "MaxUnpool",
  inputs: [{ shape: [1, 1, 1, 2, 1] }, indices([1, 1, 1, 2, 1], [3, 14])],
  attributes: { kernel_shape: [2, 2, 2], strides: [2, 2, 2] },
});
