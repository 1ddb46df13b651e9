/** Det: determinants of square matrices. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { dimsDiffer } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { countElements } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf, dtypeOf, rankOf } from "../facts.ts";
import { countUp } from "../kernels/rearrange.ts";
import { fromNumbers } from "../ndarray.ts";

/** Rows of a matrix up to which all its minors fit into memory: they have the fourth power of it in elements. */
const mostRows = 64;

export const Det = defineOp({
  type: "Det",
  versions: [11, 22],
  inputs: ["x"],
  ranks: { x: [2] },
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { x } }) => {
    const type = x.tensorType;
    if (type?.shape === undefined) return [type && tensorType(type.dtype)];
    const [rows, columns] = type.shape.slice(-2);
    if (rows === undefined || columns === undefined || dimsDiffer(rows, columns))
      throw operatorErrors.E_BAD_OPERAND(node, "x", "square matrices", `shape [${type.shape.join(", ")}]`);
    return [tensorType(type.dtype, type.shape.slice(0, -2))];
  },
  evaluate: ({ in: { x }, exact }) => {
    const [shape, rows] = [x.shape.slice(0, -2), x.shape.at(-1) ?? 0];
    const results = countUp(countElements(shape)).map((at) =>
      determinant(x.numbers.slice(at * rows * rows, (at + 1) * rows * rows), rows),
    );
    return [fromNumbers(x.dtype, shape, results, exact)];
  },
  precision: "full",
  gradient: ({ node, in: { x }, grad, b }) => ({
    x: () => b.mul(b.unsqueeze(grad.y, [-2, -1]), cofactors(b, node, x)),
  }),
});

/**
 * The derivative of a determinant by each element: its cofactor, the determinant of the matrix without its row and
 * column, with alternating sign (Jacobi's formula). ONNX has no inverse; and `det(A) A^-T` would say nothing of singular
 * matrices, where this is as right as anywhere.
 *
 * @throws DiagnosticError E_BAD_OPERAND where the minors would not fit into memory.
 */
function cofactors(b: OpBuilder, node: Node, x: Value): Value {
  const [rank, rows] = [rankOf(x), dimOf(x, -1)];
  if (rows === 1) return b.fillLike(x, 1);
  if (typeof rows === "number" && rows > mostRows)
    throw operatorErrors.E_BAD_OPERAND(
      node,
      "x",
      `at most ${mostRows} rows, since its gradient has the minor of each element`,
      `${rows} rows`,
    );
  const size = b.dim(x, -1);
  const every = b.op("Range", [b.int(0), size, b.int(1)]);
  const rest = b.op("Range", [b.int(0), b.sub(size, 1), b.int(1)]);
  const column = b.unsqueeze(every, [1]);
  // Row i has all positions but i.
  const others = b.add(rest, b.cast(b.greaterOrEqual(rest, column), "int64"));
  const pairs = b.gather(b.gather(x, others, rank - 2), others, rank);
  const perm = [...countUp(rank - 2), rank - 2, rank, rank - 1, rank + 1];
  const minors = b.op("Det", [b.transpose(pairs, perm)]);
  const even = b.equal(b.mod(b.add(column, every), 2), 0);
  return b.mul(minors, b.where(even, b.scalar(1, dtypeOf(x)), b.scalar(-1, dtypeOf(x))));
}

/** By elimination with the largest pivot of each column. */
function determinant(matrix: Float64Array, rows: number): number {
  const at = (i: number, j: number): number => matrix[i * rows + j] ?? 0;
  let result = 1;
  for (let column = 0; column < rows; column++) {
    let pivot = column;
    for (let i = column + 1; i < rows; i++)
      if (Math.abs(at(i, column)) > Math.abs(at(pivot, column))) pivot = i;
    if (at(pivot, column) === 0) return 0;
    if (pivot !== column) {
      const row = matrix.slice(pivot * rows, (pivot + 1) * rows);
      matrix.copyWithin(pivot * rows, column * rows, (column + 1) * rows);
      matrix.set(row, column * rows);
      result = -result;
    }
    result *= at(column, column);
    for (let i = column + 1; i < rows; i++) {
      const factor = at(i, column) / at(column, column);
      for (let j = column; j < rows; j++) matrix[i * rows + j] = at(i, j) - factor * at(column, j);
    }
  }
  return result;
}
