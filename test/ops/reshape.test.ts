/** Operators that give the same elements another shape. */
import { expect, test } from "vitest";
import { addDims, type Dim, floorDivDims, mulDims, symbol } from "../../src/ir/dim.ts";
import { Graph } from "../../src/ir/graph.ts";
import { tensorType } from "../../src/ir/type.ts";
import { OpBuilder } from "../../src/ops/builder.ts";
import { checkOp } from "../harness/check-op.ts";

const ints = (values: readonly number[]) =>
  ({ shape: [values.length], dtype: "int64", values, constant: true }) as const;

checkOp("a matrix", { op: "Identity", inputs: [{ shape: [2, 3] }] });
for (const target of [[6, 4], [-1], [2, -1, 2], [0, 12], [0, 0, 4], [1, 24, 1, 1]]) {
  checkOp(`to [${target}]`, { op: "Reshape", inputs: [{ shape: [2, 3, 4] }, ints(target)] });
}
checkOp("to a scalar", { op: "Reshape", inputs: [{ shape: [1, 1] }, ints([])] });
checkOp("from a scalar", { op: "Reshape", inputs: [{ shape: [] }, ints([1, -1])] });
checkOp("nothing", {
  op: "Reshape",
  inputs: [{ shape: [0, 3] }, ints([3, 0])],
  attributes: { allowzero: 1 },
});
checkOp(
  "a shape known at run time",
  {
    op: "Reshape",
    inputs: [{ shape: [2, 3] }, { shape: [2], dtype: "int64", values: [3, -1] }],
  },
  { namings: ["static"] },
);
for (const dtype of ["float16", "float64"] as const) {
  checkOp(dtype, { op: "Reshape", inputs: [{ shape: [2, 3], dtype }, ints([3, 2])] });
}

for (const axis of [0, 1, 2, 3, -1, -3]) {
  checkOp(`axis ${axis}`, { op: "Flatten", inputs: [{ shape: [2, 3, 4] }], attributes: { axis } });
}
checkOp("a scalar", { op: "Flatten", inputs: [{ shape: [] }], attributes: { axis: 0 } });

checkOp("some axes", { op: "Squeeze", inputs: [{ shape: [1, 3, 1, 2] }, ints([0, -2])] });
checkOp(
  "every axis of size 1",
  { op: "Squeeze", inputs: [{ shape: [1, 3, 1, 2] }] },
  { namings: ["static"] },
);
checkOp("to a scalar", { op: "Squeeze", inputs: [{ shape: [1] }, ints([0])] });
checkOp("some axes", { op: "Unsqueeze", inputs: [{ shape: [3, 2] }, ints([0, -1])] });
checkOp("a scalar", { op: "Unsqueeze", inputs: [{ shape: [] }, ints([0])] });
checkOp("axes known at run time", {
  op: "Unsqueeze",
  inputs: [{ shape: [3, 2] }, { shape: [1], dtype: "int64", values: [1] }],
});

test("Reshape finds the size that -1 stands for by exact division", () => {
  const [batch, past, seq, heads] = [symbol("batch"), symbol("past"), symbol("seq"), symbol("heads")];
  const total = addDims(past, seq);
  const cases: readonly (readonly [readonly Dim[], readonly Dim[], string])[] = [
    [[batch, seq, 768], [0, -1, 12, 64], "batch,seq,12,64"],
    [[batch, 12, seq, 64], [batch, -1, 64], "batch,12*seq,64"],
    [[mulDims(batch, seq), 768], [batch, -1, 768], "batch,seq,768"],
    [[batch, heads, 64], [-1, 64], "batch*heads,64"],
    [[batch, past, 6], [-1, past, 3], "2*batch,past,3"],
    [[batch, total, 12, 64], [batch, -1, 768], "batch,past + seq,768"],
    [[mulDims(batch, total), 64], [batch, -1, 64], "batch,past + seq,64"],
    [[mulDims(batch, total), 64], [-1, total, 64], "batch,past + seq,64"],
    [
      [mulDims(mulDims(batch, total), total), 4],
      [mulDims(2, total), -1],
      "2*past + 2*seq,2*batch*past + 2*batch*seq",
    ],
  ];
  for (const [from, target, expected] of cases) {
    const b = new OpBuilder({ graph: new Graph() }, 20);
    const x = b.graph.addInput({ type: tensorType("float32", from) });
    const shape = b.graph.addInput({ type: tensorType("int64", [target.length]), content: target });
    expect(String(b.reshape(x, shape).tensorType?.shape)).toBe(expected);
  }
});

test("a size that does not divide stays a quotient", () => {
  const [batch, seq] = [symbol("batch"), symbol("seq")];
  expect(String(floorDivDims(batch, seq))).toBe("floordiv(batch, seq)");
  expect(String(floorDivDims(addDims(batch, 1), 2))).toBe("floordiv(batch + 1, 2)");
  expect(String(floorDivDims(addDims(mulDims(batch, seq), 1), addDims(seq, 1)))).toContain("floordiv");
});
