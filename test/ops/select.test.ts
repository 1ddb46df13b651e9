/** Where, comparisons, logic and bits. */
import { describe, expect, test } from "vitest";
import { int64Tensor } from "../../src/ir/constant.ts";
import type { Dim } from "../../src/ir/dim.ts";
import { symbol } from "../../src/ir/dim.ts";
import { Graph } from "../../src/ir/graph.ts";
import { tensorType } from "../../src/ir/type.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { checkOp } from "../harness/check-op.ts";
import type { OperandSpec } from "../harness/op-case.ts";

const flags: OperandSpec = { shape: [3, 4], dtype: "bool", range: [0, 1] };
checkOp("one shape", { op: "Where", inputs: [flags, { shape: [3, 4] }, { shape: [3, 4] }] });
checkOp("broadcast choices", { op: "Where", inputs: [flags, { shape: [4] }, { shape: [] }] });
checkOp("a broadcast condition", {
  op: "Where",
  inputs: [{ ...flags, shape: [3, 1] }, { shape: [3, 4] }, { shape: [1, 4] }],
});
checkOp(
  "names of their own",
  { op: "Where", inputs: [flags, { shape: [4] }, { shape: [3, 1] }] },
  { namings: ["separate"] },
);
checkOp("int64", {
  op: "Where",
  inputs: [
    flags,
    { shape: [3, 4], dtype: "int64", range: [-5, 5] },
    { shape: [], dtype: "int64", values: [7] },
  ],
});

for (const op of ["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"]) {
  for (const dtype of ["float32", "float64", "int32", "int64"] as const) {
    const inputs = [
      { shape: [3, 4], dtype, values: [0, 1, 2, 3, 4, 5, 1, 1, 2, 2, 3, 3] },
      { shape: [4], dtype, values: [1, 1, 2, 2] },
    ];
    checkOp(dtype, { op, inputs });
  }
}
checkOp("bool", { op: "Equal", inputs: [flags, flags] });
for (const op of ["And", "Or", "Xor"])
  checkOp("broadcast", { op, inputs: [flags, { ...flags, shape: [4] }] });
checkOp("a matrix", { op: "Not", inputs: [flags] });
const special = { shape: [4], values: [1, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] };
checkOp("special values", { op: "IsNaN", inputs: [special] });
checkOp("both signs", { op: "IsInf", inputs: [special] });
checkOp("negative only", { op: "IsInf", attributes: { detect_positive: 0 }, inputs: [special] });
checkOp("positive only", { op: "IsInf", attributes: { detect_negative: 0 }, inputs: [special] });

for (const dtype of ["uint8", "int32", "int64", "uint64"] as const) {
  const inputs = [
    { shape: [2, 5], dtype, range: [dtype.startsWith("u") ? 0 : -99, 99] as const },
    { shape: [5], dtype, range: [0, 99] as const },
  ];
  for (const op of ["BitwiseAnd", "BitwiseOr", "BitwiseXor"]) checkOp(dtype, { op, inputs });
  checkOp(dtype, { op: "BitwiseNot", inputs: inputs.slice(0, 1) });
}
for (const dtype of ["uint8", "uint32", "uint64"] as const) {
  for (const direction of ["LEFT", "RIGHT"]) {
    const inputs = [
      { shape: [6], dtype, range: [0, 255] as const },
      { shape: [6], dtype, range: [0, 7] as const },
    ];
    checkOp(`${direction} ${dtype}`, { op: "BitShift", attributes: { direction }, inputs });
  }
}
checkOp(
  "signed and too far",
  {
    op: "BitShift",
    opset: 28,
    attributes: { direction: "RIGHT" },
    inputs: [
      { shape: [4], dtype: "int8", values: [-4, -4, 4, -128] },
      { shape: [4], dtype: "int8", values: [1, 9, -1, 7] },
    ],
  },
  { noRuntime: "opset 28 is newer than the stock runtime" },
);

describe("contents of shape chains", () => {
  const graph = new Graph("chain");
  const b = new OpBuilder({ graph }, 20);
  const contentOf = (elements: readonly Dim[]) => {
    const value = graph.addInput({ type: tensorType("int64", [elements.length]) });
    value.content = elements;
    return value;
  };
  const [batch, seq] = [symbol("batch"), symbol("seq")];
  const known = (...numbers: readonly number[]) => {
    const value = graph.addInitializer(int64Tensor(numbers));
    value.content = numbers;
    return value;
  };

  test("the exporter's Expand chain keeps the names of axes", () => {
    const shape = contentOf([batch, -1, seq]);
    const chosen = b.where(b.equal(shape, known(-1)), known(1, 1, 1), shape);
    expect(chosen.content?.map(String)).toEqual(["batch", "1", "seq"]);
  });
  test("comparisons know that axes are at least 1", () => {
    const shape = contentOf([batch, 4, 2]);
    expect(b.greater(shape, known(0)).content).toEqual([1, 1, 1]);
    expect(b.less(shape, known(3)).content?.slice(1)).toEqual([0, 1]);
    expect(b.greaterOrEqual(shape, known(4)).content?.slice(1)).toEqual([1, 0]);
  });
  test("what depends on the size of an axis stays unknown", () => {
    const [element] = b.less(contentOf([batch]), known(3)).content ?? [];
    expect(typeof element).not.toBe("number");
    const chosen = b.where(b.equal(contentOf([batch]), contentOf([seq])), known(1), known(2));
    expect(String(chosen.content?.[0])).toMatch(/^\?/);
  });
  test("logic on known answers", () => {
    const [yes, no] = [b.greater(known(1), known(0)), b.less(known(1), known(0))];
    const open = b.less(contentOf([batch]), known(3));
    expect([b.and(open, no), b.or(open, yes), b.not(no)].map((value) => value.content)).toEqual([
      [0],
      [1],
      [1],
    ]);
    expect(typeof b.and(open, yes).content?.[0]).not.toBe("number");
  });
  test("Max, Min, Mod and Neg compute with names", () => {
    const shape = contentOf([batch, seq]);
    expect(b.max(shape, shape).content?.map(String)).toEqual(["batch", "seq"]);
    expect(b.mod(b.mul(shape, known(4)), known(4)).content).toEqual([0, 0]);
    expect(b.neg(shape).content?.map(String)).toEqual(["-batch", "-seq"]);
  });
});
