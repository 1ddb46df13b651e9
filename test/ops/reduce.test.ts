/** Reductions, positions of extremes and running sums. */
import { describe, expect, test } from "vitest";
import { symbol } from "../../src/ir/dim.ts";
import { Graph } from "../../src/ir/graph.ts";
import { tensorType } from "../../src/ir/type.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { checkOp } from "../harness/check-op.ts";
import { gradientAt } from "../harness/gradient.ts";
import { evaluateCase, type OperandSpec } from "../harness/op-case.ts";
import { upgradedCase } from "../harness/upgrade.ts";

const axes = (...values: readonly number[]): OperandSpec => ({
  shape: [values.length],
  dtype: "int64",
  values,
  constant: true,
});
const ranges: Readonly<Record<string, readonly [number, number]>> = {
  ReduceSum: [-2, 2],
  ReduceMean: [-2, 2],
  ReduceMax: [-2, 2],
  ReduceMin: [-2, 2],
  ReduceProd: [-2, 2],
  ReduceL1: [-2, 2],
  ReduceL2: [-2, 2],
  ReduceLogSum: [0.2, 2],
  ReduceLogSumExp: [-2, 2],
  ReduceSumSquare: [-2, 2],
};

for (const [op, range] of Object.entries(ranges)) {
  const x: OperandSpec = { shape: [2, 3, 4], range, kinks: [0] };
  checkOp("all axes", { op, inputs: [x] });
  checkOp("all axes dropped", { op, attributes: { keepdims: 0 }, inputs: [x] });
  checkOp("the last axis", { op, inputs: [x, axes(-1)] });
  checkOp("two axes dropped", { op, attributes: { keepdims: 0 }, inputs: [x, axes(0, 2)] });
  checkOp("axes out of order", { op, attributes: { keepdims: 0 }, inputs: [x, axes(-1, 0)] });
  checkOp("empty axes mean all", { op, inputs: [x, axes()] });
  checkOp("empty axes mean none", { op, attributes: { noop_with_empty_axes: 1 }, inputs: [x, axes()] });
  checkOp("a scalar", { op, attributes: { keepdims: 0 }, inputs: [{ shape: [], range }] });
  checkOp("float64", { op, inputs: [{ ...x, dtype: "float64" }, axes(1)] });
  checkOp("axes computed at run time", {
    op,
    attributes: { keepdims: 0 },
    inputs: [x, { ...axes(1), constant: false }],
  });
  checkOp("an axis named twice", { op, inputs: [{ shape: [2, 3], range, kinks: [0] }, axes(1, -1)] });
  checkOp("no axes mean none", { op, attributes: { noop_with_empty_axes: 1 }, inputs: [x, null] });
  checkOp("no axes mean none, dropped", {
    op,
    attributes: { noop_with_empty_axes: 1, keepdims: 0 },
    inputs: [x, null],
  });
  checkOp("no elements in the result", {
    op,
    attributes: { keepdims: 0 },
    inputs: [{ shape: [0, 3] }, axes(1)],
  });
  checkOp("an axis of one element", { op, inputs: [{ shape: [3, 1], range, kinks: [0] }, axes(1)] });
  checkOp("axes computed at run time, kept", { op, inputs: [x, { ...axes(0, 1), constant: false }] });
}
for (const op of ["ReduceSum", "ReduceProd", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceSumSquare"]) {
  for (const dtype of ["int32", "int64"] as const) {
    checkOp(dtype, { op, inputs: [{ shape: [2, 3], dtype, range: [-4, 4] }, axes(1)] });
  }
}
const infinite = new Set(["ReduceMax", "ReduceMin", "ReduceLogSum", "ReduceLogSumExp"]);
for (const op of Object.keys(ranges)) {
  checkOp(
    "nothing to reduce",
    { op, attributes: { keepdims: 0 }, inputs: [{ shape: [3, 0] }, axes(1)] },
    infinite.has(op) ? { noGradient: "the result is infinite" } : {},
  );
}
checkOp("the mean of no whole numbers", {
  op: "ReduceMean",
  inputs: [{ shape: [3, 0], dtype: "int64" }, axes(1)],
});
checkOp("uint8", { op: "ReduceMax", inputs: [{ shape: [2, 3], dtype: "uint8", range: [0, 200] }, axes(1)] });
checkOp("bool", { op: "ReduceMin", inputs: [{ shape: [2, 3], dtype: "bool", range: [0, 1] }, axes(1)] });
checkOp("zeros", {
  op: "ReduceProd",
  inputs: [{ shape: [3, 3], values: [0, 2, 3, 0, 0, 5, 2, 3, 4] }, axes(1)],
});
checkOp("large", {
  op: "ReduceLogSumExp",
  inputs: [{ shape: [2, 3], values: [700, 701, 699, -700, -701, -702] }, axes(1)],
});

describe("at kinks, as PyTorch", () => {
  test.each(["ReduceMax", "ReduceMin"])("%s splits evenly among equal elements", (op) => {
    const values = op === "ReduceMax" ? [1, 2, 2] : [2, 1, 1];
    expect(gradientAt({ op, inputs: [{ shape: [3], values }] })).toEqual([[0, 0.5, 0.5]]);
  });
  test("ReduceProd gives the product of the others", () => {
    const inputs = [{ shape: [3, 3], values: [0, 2, 3, 0, 0, 3, 2, 3, 4] }, axes(1)];
    expect(gradientAt({ op: "ReduceProd", inputs })).toEqual([[6, 0, 0, 0, 0, 0, 12, 8, 6]]);
  });
  test("norms have slope 0 at 0", () => {
    for (const op of ["ReduceL1", "ReduceL2"]) {
      expect(gradientAt({ op, inputs: [{ shape: [2], values: [0, 0] }] })).toEqual([[0, 0]]);
    }
  });
});

describe("upgrade from the attribute axes", () => {
  test.each(Object.keys(ranges))("%s", (op) => {
    const x = { shape: [2, 3], values: [1, 2, 3, 4, 5, 6] };
    const attributes = { axes: [-1], keepdims: 0 };
    const upgraded = evaluateCase(upgradedCase({ op, opset: 11, attributes, inputs: [x] }));
    const current = evaluateCase(upgradedCase({ op, attributes: { keepdims: 0 }, inputs: [x, axes(1)] }));
    expect(upgraded[0]?.shape).toEqual([2]);
    expect(upgraded[0]?.toNumbers()).toEqual(current[0]?.toNumbers());
  });
});

test("a product over a shape keeps the names of axes", () => {
  const graph = new Graph("sizes");
  const b = new OpBuilder({ graph }, 20);
  const shape = graph.addInput({ type: tensorType("int64", [3]) });
  shape.content = [symbol("batch"), 4, symbol("seq")];
  const size = b.op("ReduceProd", [shape, b.ints([0])], { keepdims: 0 });
  expect(size.content?.map(String)).toEqual(["4*batch*seq"]);
  expect(size.tensorType?.shape).toEqual([]);
  expect(b.reduceSum(shape, undefined).content?.map(String)).toEqual(["batch + seq + 4"]);
});

const ties: OperandSpec = { shape: [3, 4], values: [1, 3, 3, 0, 2, 2, 2, 2, -1, -5, -1, -5] };
for (const op of ["ArgMax", "ArgMin"]) {
  checkOp("default", { op, inputs: [ties] });
  checkOp("last axis dropped", { op, attributes: { axis: -1, keepdims: 0 }, inputs: [ties] });
  checkOp("last of equals", { op, attributes: { axis: 1, select_last_index: 1 }, inputs: [ties] });
  checkOp("int32", {
    op,
    attributes: { axis: 1 },
    inputs: [{ shape: [2, 5], dtype: "int32", range: [-3, 3] }],
  });
}

for (const [op, opset, range] of [
  ["CumSum", 20, [-2, 2]],
  ["CumProd", 26, [0.5, 2]],
] as const) {
  for (const exclusive of [0, 1]) {
    for (const reverse of [0, 1]) {
      const axis = { shape: [], dtype: "int64" as const, values: [-2], constant: true };
      checkOp(`exclusive ${exclusive}, reverse ${reverse}`, {
        op,
        opset,
        attributes: { exclusive, reverse },
        inputs: [{ shape: [2, 4, 3], range }, axis],
      });
    }
  }
  checkOp("int64", {
    op,
    opset,
    inputs: [
      { shape: [5], dtype: "int64", range: [-3, 3] },
      { shape: [], dtype: "int32", values: [0] },
    ],
  });
}
for (const values of [
  [2, 0, 3, 4],
  [0, 2, 0, 3],
  [0, 0, 1, 2],
]) {
  checkOp(`zeros at ${values.flatMap((value, i) => (value === 0 ? [i] : []))}`, {
    op: "CumProd",
    opset: 26,
    inputs: [
      { shape: [4], values },
      { shape: [], dtype: "int64", values: [0], constant: true },
    ],
  });
}
