/** Einsum. */
import { expect, test } from "vitest";
import { parseEquation, printEquation } from "../../src/ops/kernels/einsum.ts";
import { checkOp } from "../harness/check-op.ts";

const cases: readonly (readonly [string, ...(readonly number[])[]])[] = [
  ["ij,jk->ik", [2, 3], [3, 4]],
  ["bhqd,bhkd->bhqk", [2, 2, 3, 4], [2, 2, 5, 4]],
  ["bij,bjk", [2, 3, 4], [2, 4, 2]],
  ["ij->ji", [2, 3]],
  ["ij->", [2, 3]],
  ["ij->i", [2, 3]],
  ["ii->i", [3, 3]],
  ["ii", [3, 3]],
  ["iji->j", [2, 3, 2]],
  ["i,j->ij", [2], [3]],
  ["ij,j->i", [2, 3], [3]],
  ["ij,kl->ik", [2, 3], [4, 2]],
  ["...ij,...jk->...ik", [2, 3, 4], [2, 4, 2]],
  ["...ij,jk->...ik", [5, 2, 3, 4], [4, 2]],
  ["i...,j->i...j", [2, 3], [4]],
  ["b n d, d m -> b n m", [2, 3, 4], [4, 2]],
  ["ij,jk,kl->il", [2, 3], [3, 2], [2, 4]],
  ["aB,Bc->ac", [2, 3], [3, 2]],
  ["iii->i", [3, 3, 3]],
  ["iii->", [3, 3, 3]],
  ["iij->ij", [3, 3, 2]],
  ["iijj->ij", [2, 2, 3, 3]],
  ["iijj->", [2, 2, 3, 3]],
  ["ii,j->j", [3, 3], [2]],
  ["ii,ij->j", [3, 3], [3, 2]],
  ["ij,ij->", [2, 3], [2, 3]],
  ["i,i,i->i", [3], [3], [3]],
  ["i,j,k->", [2], [3], [4]],
  ["ijk,k->", [2, 3, 4], [4]],
  [",ij->ij", [], [2, 3]],
  [",->", [], []],
  ["->", []],
  ["...", [2, 3]],
  ["...->...", [2, 3]],
  ["...ii->...i", [2, 3, 3]],
  ["...ii->...", [4, 2, 3, 3]],
  ["ii...->i...", [3, 3, 2]],
  ["i...i->...", [3, 2, 3]],
  ["...,...->...", [2, 3], [2, 3]],
  ["...i,...i", [2, 3], [2, 3]],
  ["b...,c->...bc", [2, 3, 2], [3]],
  ["...ij->...ji", [2, 3]],
  ["Ab,bA", [2, 3], [3, 2]],
  ["ba", [2, 3]],
];
for (const [equation, ...shapes] of cases) {
  checkOp(equation, { op: "Einsum", inputs: shapes.map((shape) => ({ shape })), attributes: { equation } });
}
for (const equation of ["...,...->...", "...i,...i"]) {
  checkOp(
    `${equation} of different ranks`,
    { op: "Einsum", inputs: [{ shape: [2, 3] }, { shape: [3] }], attributes: { equation } },
    { noRuntime: "it wants as many axes under each ellipsis" },
  );
}
checkOp("a size of 1 beside another", {
  op: "Einsum",
  inputs: [{ shape: [1, 3] }, { shape: [2, 3] }],
  attributes: { equation: "ij,ij->ij" },
});
checkOp("nothing to sum", {
  op: "Einsum",
  inputs: [{ shape: [2, 0] }, { shape: [0, 3] }],
  attributes: { equation: "ij,jk->ik" },
});
checkOp("whole numbers", {
  op: "Einsum",
  inputs: [
    { shape: [2, 3], dtype: "int64", range: [-3, 3] },
    { shape: [3, 2], dtype: "int64", range: [-3, 3] },
  ],
  attributes: { equation: "ij,jk->ik" },
});
checkOp("broadcast under an ellipsis", {
  op: "Einsum",
  inputs: [{ shape: [2, 1, 3, 4] }, { shape: [2, 5, 4, 2] }],
  attributes: { equation: "...ij,...jk->...ik" },
});
checkOp("a diagonal of float16", {
  op: "Einsum",
  inputs: [{ shape: [3, 3], dtype: "float16" }],
  attributes: { equation: "ii->i" },
});
checkOp("float64", {
  op: "Einsum",
  inputs: [
    { shape: [2, 3], dtype: "float64" },
    { shape: [3, 4], dtype: "float64" },
  ],
  attributes: { equation: "ij,jk->ik" },
});

const node = { op: "Einsum", name: "" };

test("labels of an ellipsis are aligned at the end and get letters of their own", () => {
  const equation = parseEquation(node, "...ij,...jk", [4, 3]);
  expect(equation.operands).toEqual([
    ["0", "1", "i", "j"],
    ["1", "j", "k"],
  ]);
  expect(equation.result).toEqual(["0", "1", "i", "k"]);
  expect(printEquation(equation)).toBe("abij,bjk->abik");
});

test("terms that do not fit their operands are refused", () => {
  expect(() => parseEquation(node, "ij,jk->ik", [2])).toThrow(/E_BAD_ATTRIBUTE[\s\S]*2 terms for 1/);
  expect(() => parseEquation(node, "ij->i", [3])).toThrow(/E_BAD_ATTRIBUTE[\s\S]*rank 3/);
});
