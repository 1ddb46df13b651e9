/** NonMaxSuppression. */
import { checkOp } from "../harness/check-op.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const scalar = (value: number, dtype: "int64" | "float32" = "float32"): OperandSpec => ({
  shape: [1],
  values: [value],
  dtype,
  constant: true,
});
const boxes: OperandSpec = {
  shape: [1, 6, 4],
  values: [
    ...[0, 0, 1, 1],
    ...[0, 0.1, 1, 1.1],
    ...[0, -0.1, 1, 0.9],
    ...[0, 10, 1, 11],
    ...[1, 11.1, 0, 10.1],
    ...[0, 100, 1, 101],
  ],
  host: true,
};
const scores: OperandSpec = {
  shape: [1, 2, 6],
  values: [0.9, 0.75, 0.6, 0.95, 0.5, 0.3, 0.4, 0.8, 0.8, 0.2, 0.6, 0.6],
  host: true,
};
const rows: readonly (readonly [
  string,
  readonly (OperandSpec | null)[],
  Readonly<Record<string, number>>,
])[] = [
  ["three boxes a class", [scalar(3, "int64"), scalar(0.5), scalar(0)], {}],
  ["one box a class", [scalar(1, "int64"), scalar(0.5)], {}],
  ["boxes of some score", [scalar(9, "int64"), scalar(0.5), scalar(0.55)], {}],
  ["no overlap at all", [scalar(9, "int64"), null, scalar(0.1)], {}],
  ["centers and sizes", [scalar(9, "int64"), scalar(0.3), scalar(0.1)], { center_point_box: 1 }],
  ["no box", [scalar(0, "int64"), scalar(0.5)], {}],
  ["no number", [], {}],
];
for (const [name, rest, attributes] of rows) {
  checkOp(name, { op: "NonMaxSuppression", inputs: [boxes, scores, ...rest], attributes });
}
checkOp("boxes drawn at random", {
  op: "NonMaxSuppression",
  inputs: [
    { shape: [2, 20, 4], range: [0, 2], host: true },
    { shape: [2, 3, 20], range: [0, 1], host: true },
    scalar(7, "int64"),
    scalar(0.4),
    scalar(0.2),
  ],
});
