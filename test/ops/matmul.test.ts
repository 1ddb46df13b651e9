/** MatMul, Gemm, FusedMatMul. */
import { expect, test } from "vitest";
import { floatAttribute } from "../../src/ir/attribute.ts";
import { checkOp } from "../harness/check-op.ts";
import { buildBackward } from "../harness/gradient.ts";

const shapes: readonly (readonly [readonly number[], readonly number[]])[] = [
  [
    [2, 3],
    [3, 4],
  ],
  [[3], [3]],
  [[3], [3, 4]],
  [[2, 3], [3]],
  [[3], [2, 3, 4]],
  [[2, 4, 3], [3]],
  [
    [2, 4, 3],
    [3, 5],
  ],
  [
    [2, 2, 4, 3],
    [3, 5],
  ],
  [
    [2, 4, 3],
    [2, 3, 5],
  ],
  [
    [4, 3],
    [2, 3, 5],
  ],
  [
    [2, 1, 4, 3],
    [5, 3, 2],
  ],
  [
    [1, 4, 3],
    [2, 3, 5],
  ],
  [
    [0, 3],
    [3, 4],
  ],
  [
    [2, 0],
    [0, 4],
  ],
];
for (const [a, b] of shapes)
  checkOp(`[${a}] and [${b}]`, { op: "MatMul", inputs: [{ shape: a }, { shape: b }] });
checkOp("float64", {
  op: "MatMul",
  inputs: [
    { shape: [2, 2, 3], dtype: "float64" },
    { shape: [3, 4], dtype: "float64" },
  ],
});
checkOp("float16", {
  op: "MatMul",
  inputs: [
    { shape: [2, 3], dtype: "float16" },
    { shape: [3, 4], dtype: "float16" },
  ],
});
checkOp("int64", {
  op: "MatMul",
  inputs: [
    { shape: [2, 3], dtype: "int64" },
    { shape: [3, 4], dtype: "int64" },
  ],
});
checkOp(
  "sizes named apart",
  { op: "MatMul", inputs: [{ shape: [2, 4, 3] }, { shape: [2, 3, 5] }] },
  { namings: ["separate"] },
);

for (const transA of [0, 1]) {
  for (const transB of [0, 1]) {
    checkOp(`transA ${transA}, transB ${transB}`, {
      op: "Gemm",
      inputs: [{ shape: transA ? [3, 2] : [2, 3] }, { shape: transB ? [4, 3] : [3, 4] }, { shape: [4] }],
      attributes: { transA, transB, alpha: floatAttribute(0.5), beta: floatAttribute(-1.5) },
    });
    checkOp(`transA ${transA}, transB ${transB}`, {
      op: "FusedMatMul",
      domain: "com.microsoft",
      inputs: [{ shape: transA ? [2, 3, 2] : [2, 2, 3] }, { shape: transB ? [4, 3] : [3, 4] }],
      attributes: { transA, transB, alpha: floatAttribute(0.5) },
    });
  }
}
for (const c of [[], [1], [1, 4], [2, 1], [2, 4]]) {
  checkOp(`C of shape [${c}]`, { op: "Gemm", inputs: [{ shape: [2, 3] }, { shape: [3, 4] }, { shape: c }] });
}
checkOp("no C", { op: "Gemm", inputs: [{ shape: [2, 3] }, { shape: [3, 4] }] });
checkOp("float64", {
  op: "Gemm",
  inputs: [
    { shape: [2, 3], dtype: "float64" },
    { shape: [3, 4], dtype: "float64" },
    { shape: [4], dtype: "float64" },
  ],
});
checkOp("batches in the middle", {
  op: "FusedMatMul",
  domain: "com.microsoft",
  inputs: [{ shape: [4, 2, 3] }, { shape: [3, 2, 5] }],
  attributes: { transBatchA: 1, transBatchB: 1 },
});
checkOp("batches in the middle, transposed", {
  op: "FusedMatMul",
  domain: "com.microsoft",
  inputs: [{ shape: [3, 2, 4] }, { shape: [2, 5, 3] }],
  attributes: { transBatchA: 1, transA: 1, transB: 1 },
});

test("the gradient of a weight matrix is one product of two matrices", () => {
  const { model } = buildBackward(
    { op: "MatMul", inputs: [{ shape: [2, 4, 3] }, { shape: [3, 5] }] },
    "static",
  );
  const ops = [...model.graph.nodes()].map(({ op }) => op);
  expect(ops.filter((op) => op !== "MatMul").sort()).toEqual(
    ["Gemm", "Gemm", "Reshape", "Reshape", "Reshape"].sort(),
  );
});
