/** Gather, GatherElements, GatherND. */
import { expect, test } from "vitest";
import { symbol } from "../../src/ir/dim.ts";
import { Graph } from "../../src/ir/graph.ts";
import { tensorType } from "../../src/ir/type.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";

const indices = (shape: readonly number[], values: readonly number[], constant = false) =>
  ({ shape, dtype: "int64", values, constant }) as const;

/** The width of the indices is the number of coordinates, without which not even ranks are known. */
const rankKnown = { namings: ["static"] } as const;

for (const constant of [false, true]) {
  const known = constant ? "constant" : "run-time";
  const rows: readonly (readonly [string, number, readonly number[], readonly number[]])[] = [
    ["rows with repeats", 0, [3], [2, 0, 2]],
    ["rows from the end", 0, [3], [-1, 0, -1]],
    ["the first", 1, [], [0]],
    ["the last", -1, [], [-1]],
    ["neighbours", 1, [2], [1, 2]],
    ["neighbours from the end", 1, [2], [-2, -1]],
    ["a matrix of indices", 1, [2, 2], [2, 0, 1, 2]],
    ["no index", 0, [0], []],
    ["an order", 2, [4], [3, 1, 0, 2]],
    ["repeats on the last axis", 2, [7], [3, 1, 3, 0, 4, 3, 1]],
  ];
  for (const [name, axis, shape, values] of rows) {
    checkOp(`${name}, ${known}`, {
      op: "Gather",
      inputs: [{ shape: [3, 4, 5] }, indices(shape, values, constant)],
      attributes: { axis },
    });
  }
  checkOp(`a table, ${known}`, {
    op: "Gather",
    inputs: [{ shape: [4, 3] }, indices([2, 3], [0, 1, 3, -1, 3, 0], constant)],
  });
}
for (const dtype of ["float16", "float64"] as const) {
  checkOp(`a large table of ${dtype}`, {
    op: "Gather",
    inputs: [{ shape: [300, 2], dtype }, indices([3], [299, 7, -1])],
  });
  checkOp(`a small table of ${dtype}`, {
    op: "Gather",
    inputs: [{ shape: [4, 2], dtype }, indices([3], [3, 1, -1])],
  });
}
checkOp("int32 indices", {
  op: "Gather",
  inputs: [{ shape: [4, 2] }, { shape: [2], dtype: "int32", values: [3, -1] }],
});
checkOp("a vector", { op: "Gather", inputs: [{ shape: [4] }, indices([3], [3, 3, 0])] });
checkOp(
  "shapes named apart",
  { op: "Gather", inputs: [{ shape: [4, 3] }, indices([2, 3], [0, 1, 3, 0, 3, 0])] },
  { namings: ["separate"] },
);

checkOp("the first axis", {
  op: "GatherElements",
  inputs: [{ shape: [3, 3] }, indices([2, 3], [0, 1, 2, 0, -1, 2])],
});
checkOp("fewer elements on other axes", {
  op: "GatherElements",
  inputs: [{ shape: [3, 3] }, indices([2, 4], [0, 0, 1, 2, -1, 0, 1, 0])],
  attributes: { axis: -1 },
});
checkOp("float16", {
  op: "GatherElements",
  inputs: [{ shape: [3, 2], dtype: "float16" }, indices([3, 2], [0, 0, 0, 0, 2, 1])],
});

checkOp("elements", {
  op: "GatherND",
  inputs: [{ shape: [2, 3] }, indices([3, 2], [0, 1, 1, -1, 0, 1], true)],
});
checkOp(
  "elements at run time",
  { op: "GatherND", inputs: [{ shape: [2, 3] }, indices([3, 2], [0, 1, 1, -1, 0, 1])] },
  rankKnown,
);
checkOp("rows", { op: "GatherND", inputs: [{ shape: [3, 2] }, indices([2, 2, 1], [0, 2, -1, 2])] });
checkOp("rows of rank 2", {
  op: "GatherND",
  inputs: [{ shape: [3, 2, 2] }, indices([3, 1], [0, 2, 2], true)],
});
checkOp("batches", {
  op: "GatherND",
  inputs: [{ shape: [2, 3, 2] }, indices([2, 2, 1], [0, 2, 1, 1])],
  attributes: { batch_dims: 1 },
});
checkOp("two axes of batches", {
  op: "GatherND",
  inputs: [{ shape: [2, 2, 3] }, indices([2, 2, 1], [0, 2, -1, 1])],
  attributes: { batch_dims: 2 },
});
checkOp(
  "three coordinates",
  {
    op: "GatherND",
    inputs: [{ shape: [2, 3, 4] }, indices([2, 3], [0, 1, 3, 1, -1, 0])],
  },
  rankKnown,
);

test("shape chains of exporters keep the names of axes", () => {
  const graph = new Graph();
  const b = new OpBuilder({ graph }, 20);
  const ids = graph.addInput({ type: tensorType("int64", [symbol("batch"), symbol("seq")]) });
  const x = graph.addInput({ type: tensorType("float32", [symbol("batch"), symbol("seq"), 8]) });
  const size = (axis: number) => b.unsqueeze(b.gather(b.op("Shape", [ids]), b.int(axis)), [0]);
  const heads = b.reshape(x, b.concat([size(0), size(1), b.ints([2, 4])], 0));
  expect(String(heads.tensorType?.shape)).toBe("batch,seq,2,4");
  const flat = b.reshape(x, b.concat([b.mul(size(0), size(1)), b.ints([8])], 0));
  expect(String(flat.tensorType?.shape)).toBe("batch*seq,8");
  const back = b.reshape(flat, b.concat([size(0), b.ints([-1, 8])], 0));
  expect(String(back.tensorType?.shape)).toBe("batch,seq,8");
});

test("summing rows into a table never uses ScatterND with a reduction", () => {
  const data = { shape: [4, 3, 2] };
  const cases = [
    { op: "Gather", inputs: [data, indices([2, 2], [0, 1, 1, 3])] },
    { op: "GatherND", inputs: [data, indices([2, 2], [0, 1, 0, 1])] },
    { op: "GatherElements", inputs: [data, indices([1, 1, 1], [3])] },
  ];
  for (const spec of cases) {
    const { model } = buildBackward(spec, "static");
    const scatters = [...model.graph.nodes()].filter(({ op }) => op.startsWith("Scatter"));
    expect(scatters.map(({ op }) => op)).toEqual(["ScatterElements"]);
  }
});
