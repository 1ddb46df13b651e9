/** Constant in all its forms, ConstantOfShape, Range, EyeLike, Shape, Size. */
import { describe, expect, test } from "vitest";
import { type AttributeLike, floatAttribute } from "../../src/ir/attribute.ts";
import { float32Tensor, int64Tensor } from "../../src/ir/constant.ts";
import { symbol } from "../../src/ir/dim.ts";
import { Graph } from "../../src/ir/graph.ts";
import { formatShape } from "../../src/ir/shape.ts";
import { formatType, tensorType } from "../../src/ir/type.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { evaluateNode } from "../../src/ops/evaluate.ts";
import { checkOp } from "../harness/check-op.ts";

const ints = (...values: readonly number[]) =>
  ({ shape: [values.length], dtype: "int64", values, constant: true }) as const;
const int = (value: number, constant = true) =>
  ({ shape: [], dtype: "int64", values: [value], constant }) as const;

interface Form {
  readonly name: string;
  readonly attributes: Readonly<Record<string, AttributeLike>>;
  readonly type: string;
  readonly elements: readonly (number | bigint | string)[];
  readonly content?: readonly number[];
}

const sparse = (indices: readonly number[], dims: readonly number[]): AttributeLike => ({
  kind: "sparse",
  value: { values: float32Tensor([5, 7]), indices: int64Tensor(indices, dims), dims: [2, 3] },
});
const forms: readonly Form[] = [
  {
    name: "value",
    attributes: { value: float32Tensor([1, 2], [2, 1]) },
    type: "float32[2, 1]",
    elements: [1, 2],
  },
  {
    name: "whole numbers",
    attributes: { value: int64Tensor([3, -1]) },
    type: "int64[2]",
    elements: [3n, -1n],
    content: [3, -1],
  },
  { name: "value_int", attributes: { value_int: 5 }, type: "int64[]", elements: [5n], content: [5] },
  {
    name: "value_ints",
    attributes: { value_ints: [5, 6] },
    type: "int64[2]",
    elements: [5n, 6n],
    content: [5, 6],
  },
  {
    name: "value_float",
    attributes: { value_float: floatAttribute(0.5) },
    type: "float32[]",
    elements: [0.5],
  },
  {
    name: "value_floats",
    attributes: { value_floats: { kind: "floats", value: [0.5] } },
    type: "float32[1]",
    elements: [0.5],
  },
  { name: "value_string", attributes: { value_string: "ab" }, type: "string[]", elements: ["ab"] },
  {
    name: "value_strings",
    attributes: { value_strings: { kind: "strings", value: ["a", "b"] } },
    type: "string[2]",
    elements: ["a", "b"],
  },
  {
    name: "flat sparse_value",
    attributes: { sparse_value: sparse([1, 5], [2]) },
    type: "float32[2, 3]",
    elements: [0, 5, 0, 0, 0, 7],
  },
  {
    name: "sparse_value",
    attributes: { sparse_value: sparse([0, 1, 1, 2], [2, 2]) },
    type: "float32[2, 3]",
    elements: [0, 5, 0, 0, 0, 7],
  },
];

describe.each(forms)("Constant: $name", ({ attributes, type, elements, content }) => {
  const b = new OpBuilder({ graph: new Graph() }, 20);
  const value = b.op("Constant", [], attributes);
  test("type and content", () => {
    expect(formatType(value.type)).toBe(type);
    expect(value.content).toEqual(content);
  });
  test("elements", () => {
    const [array] =
      value.producer === undefined ? [] : (evaluateNode(value.producer, [], { opset: 20 }) ?? []);
    expect(array == null ? undefined : [...array.data]).toEqual(elements);
  });
});

checkOp("zeros", { op: "ConstantOfShape", inputs: [ints(2, 3)] });
checkOp("whole numbers", {
  op: "ConstantOfShape",
  inputs: [ints(3)],
  attributes: { value: int64Tensor([7]) },
});
checkOp("a scalar", { op: "ConstantOfShape", inputs: [ints()], attributes: { value: float32Tensor([2]) } });
checkOp(
  "a shape known at run time",
  { op: "ConstantOfShape", inputs: [{ shape: [2], dtype: "int64", values: [2, 0] }] },
  { namings: ["static"] },
);

for (const [first, end, step] of [
  [0, 5, 1],
  [2, 11, 3],
  [5, 0, -2],
  [3, 3, 1],
  [5, 1, 1],
] as const) {
  for (const constant of [true, false]) {
    checkOp(`${first} to ${end} by ${step}`, {
      op: "Range",
      inputs: [int(first, constant), int(end, constant), int(step, constant)],
    });
  }
}
checkOp("floats", {
  op: "Range",
  inputs: [
    { shape: [], values: [0.5] },
    { shape: [], values: [3.2] },
    { shape: [], values: [0.7] },
  ],
});
for (const k of [0, 1, -2])
  checkOp(`diagonal ${k}`, { op: "EyeLike", inputs: [{ shape: [3, 4] }], attributes: { k } });
checkOp("another type", { op: "EyeLike", inputs: [{ shape: [2, 2] }], attributes: { dtype: 7 } });

const ranges: readonly Readonly<Record<string, number>>[] = [
  { start: 0 },
  { start: 1 },
  { start: -2 },
  { end: -1 },
  { start: 1, end: 2 },
  { start: 5, end: 9 },
  { start: 2, end: 1 },
];
for (const attributes of ranges) {
  checkOp(JSON.stringify(attributes), { op: "Shape", inputs: [{ shape: [2, 3, 4] }], attributes });
}
checkOp("a scalar", { op: "Shape", inputs: [{ shape: [] }] });
checkOp("a matrix", { op: "Size", inputs: [{ shape: [2, 3] }] });
checkOp("a scalar", { op: "Size", inputs: [{ shape: [] }] });
checkOp("nothing", { op: "Size", inputs: [{ shape: [0, 3] }] });

test("Range over symbolic bounds keeps their names", () => {
  const b = new OpBuilder({ graph: new Graph() }, 20);
  const [past, seq] = [symbol("past"), symbol("seq")];
  const x = b.graph.addInput({ type: tensorType("float32", [past, seq]) });
  const size = (axis: number) => b.dim(x, axis);
  const range = (start: ReturnType<typeof size>, end: ReturnType<typeof size>) =>
    formatShape(b.op("Range", [start, end, b.int(1)]).tensorType?.shape);
  expect(range(b.int(0), size(1))).toBe("[seq]");
  expect(range(size(0), b.add(size(0), size(1)))).toBe("[seq]");
  expect(range(b.int(1), size(1))).toBe("[seq - 1]");
});
