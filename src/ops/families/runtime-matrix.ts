/** Inverse and CDist of com.microsoft: inverses of matrices, and distances between rows. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { unknownDim } from "../../ir/dim.ts";
import { countElements } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { fromNumbers } from "../ndarray.ts";
import { text } from "../params.ts";

export const Inverse = defineOp({
  type: "Inverse",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["x"],
  ranks: { x: [2] },
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => [x.type],
  evaluate: ({ in: { x }, exact }) => {
    const rows = x.shape.at(-1) ?? 0;
    const results = new Float64Array(x.size);
    for (let at = 0; at < countElements(x.shape.slice(0, -2)); at++) {
      const start = at * rows * rows;
      results.set(invert(x.numbers.slice(start, start + rows * rows), rows), start);
    }
    return [fromNumbers(x.dtype, x.shape, results, exact)];
  },
  precision: "full",
  // d(A^-1) = -A^-1 dA A^-1
  gradient: ({ out: { y }, grad, b }) => ({
    x: () => {
      const turned = b.transposeLast(y);
      return b.neg(b.matmul(turned, b.matmul(grad.y, turned)));
    },
  }),
});

/** By elimination with the largest pivot of each column (Gauss and Jordan); what is singular has no finite inverse. */
function invert(matrix: Float64Array, rows: number): Float64Array {
  const result = new Float64Array(rows * rows);
  for (let i = 0; i < rows; i++) result[i * rows + i] = 1;
  const at = (i: number, j: number): number => matrix[i * rows + j] ?? 0;
  for (let column = 0; column < rows; column++) {
    let pivot = column;
    for (let i = column + 1; i < rows; i++)
      if (Math.abs(at(i, column)) > Math.abs(at(pivot, column))) pivot = i;
    for (const each of [matrix, result]) swapRows(each, rows, pivot, column);
    const scale = at(column, column);
    for (const each of [matrix, result])
      for (let j = 0; j < rows; j++) each[column * rows + j] = (each[column * rows + j] ?? 0) / scale;
    for (let i = 0; i < rows; i++) {
      const factor = at(i, column);
      if (i === column) continue;
      for (const each of [matrix, result])
        for (let j = 0; j < rows; j++)
          each[i * rows + j] = (each[i * rows + j] ?? 0) - factor * (each[column * rows + j] ?? 0);
    }
  }
  return result;
}

function swapRows(matrix: Float64Array, rows: number, one: number, other: number): void {
  const row = matrix.slice(one * rows, (one + 1) * rows);
  matrix.copyWithin(one * rows, other * rows, (other + 1) * rows);
  matrix.set(row, other * rows);
}

/** Distances between the rows of two matrices. That of equal rows has the gradient zero, as in PyTorch's `cdist`. */
export const CDist = defineOp({
  type: "CDist",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["x", "y"],
  ranks: { x: 2, y: 2 },
  outputs: ["z"],
  attributes: { metric: text("sqeuclidean") },
  infer: ({ in: { x, y } }) => {
    const type = x.tensorType;
    const rows = [x, y].map((each) => each.tensorType?.shape?.[0] ?? unknownDim());
    return [type && tensorType(type.dtype, rows)];
  },
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, y }, attrs: { metric }, b }) => {
      if (metric !== "euclidean" && metric !== "sqeuclidean")
        throw operatorErrors.E_BAD_ATTRIBUTE(node, "metric", "euclidean or sqeuclidean", `"${metric}"`);
      const gaps = b.sub(b.unsqueeze(x, [1]), b.unsqueeze(y, [0]));
      const squares = b.reduceSum(b.mul(gaps, gaps), [2], false);
      if (metric === "sqeuclidean") return [squares];
      const apart = b.greater(squares, 0);
      return [b.where(apart, b.sqrt(b.where(apart, squares, 1)), 0)];
    },
  },
});
