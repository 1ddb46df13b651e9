/** Pools. */
import { checkOp } from "../harness/check-op.ts";

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;

const rows: readonly (readonly [string, readonly number[], Attributes])[] = [
  ["neighbours", [2, 3, 4, 6], { kernel_shape: [2, 2], strides: [2, 2] }],
  ["overlapping", [1, 2, 5, 6], { kernel_shape: [3, 2] }],
  ["padding", [1, 2, 5, 6], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [2, 2] }],
  ["padding that differs", [1, 2, 5, 7], { kernel_shape: [3, 3], pads: [0, 1, 2, 0], strides: [2, 1] }],
  ["a rest", [1, 2, 8, 7], { kernel_shape: [2, 2], strides: [3, 2] }],
  ["rounding up", [1, 2, 5, 6], { kernel_shape: [2, 3], strides: [2, 2], ceil_mode: 1 }],
  [
    "rounding up with padding",
    [1, 2, 6, 7],
    { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1 },
  ],
  [
    "rounding up to windows that begin outside",
    [1, 2, 6, 7],
    { kernel_shape: [2, 1], strides: [3, 2], ceil_mode: 1 },
  ],
  ["dilations", [1, 2, 6, 7], { kernel_shape: [2, 3], dilations: [2, 2] }],
  ["same, upper", [1, 2, 5, 6], { kernel_shape: [3, 2], auto_pad: "SAME_UPPER", strides: [2, 2] }],
  ["same, lower", [1, 2, 5, 6], { kernel_shape: [2, 3], auto_pad: "SAME_LOWER" }],
  ["valid", [1, 2, 5, 6], { kernel_shape: [2, 3], auto_pad: "VALID" }],
  ["one dimension", [2, 3, 7], { kernel_shape: [3], strides: [2] }],
  ["three dimensions", [1, 2, 4, 3, 4], { kernel_shape: [2, 2, 3], strides: [2, 1, 1] }],
];
for (const [name, shape, attributes] of rows) {
  const namings = ["static", "shared", "separate"] as const;
  checkOp(name, { op: "MaxPool", inputs: [{ shape }], attributes }, { namings });
  for (const count of [0, 1]) {
    const counted = { ...attributes, count_include_pad: count };
    checkOp(
      `${name}, count_include_pad ${count}`,
      { op: "AveragePool", inputs: [{ shape }], attributes: counted },
      { namings },
    );
  }
}
checkOp("indices", {
  op: "MaxPool",
  inputs: [{ shape: [2, 2, 4, 5] }],
  attributes: { kernel_shape: [2, 2] },
  outputs: 2,
});
checkOp("indices by columns", {
  op: "MaxPool",
  inputs: [{ shape: [2, 2, 4, 5] }],
  attributes: { kernel_shape: [2, 2], storage_order: 1 },
  outputs: 2,
});
for (const shape of [
  [2, 3, 4, 5],
  [2, 3, 4],
  [2, 3, 2, 2, 2],
]) {
  checkOp(`[${shape}]`, { op: "GlobalMaxPool", inputs: [{ shape }] });
  checkOp(`[${shape}]`, { op: "GlobalAveragePool", inputs: [{ shape }] });
}
