/** An orthonormal basis of a matrix's columns, as a QR decomposition gives it. */
import { float32Tensor } from "../../../src/ir/constant.ts";
import type { Value } from "../../../src/ir/value.ts";
import type { OpBuilder } from "../../../src/ops/builder.ts";

/**
 * Q of the reduced QR decomposition of `matrix` (rows, columns), rows >= columns, by Householder reflections, with LAPACK's
 * choice of signs: each reflection turns a column away from its first element (Golub and Van Loan 2013, section 5.2).
 */
export function orthonormalBasis(matrix: Value, rows: number, columns: number, b: OpBuilder): Value {
  const reflectors: Value[] = [];
  let rest = matrix;
  // The last row alone has nothing left to reflect.
  for (let i = 0; i < Math.min(columns, rows - 1); i++) {
    const column = b.slice(rest, { starts: [i, i], ends: [rows, i + 1], axes: [0, 1] });
    const first = b.slice(column, { starts: [0], ends: [1], axes: [0] });
    const norm = b.sqrt(b.reduceSumSquare(column, undefined, true));
    const away = b.add(first, b.where(b.less(first, 0), b.neg(norm), norm));
    const below = b.slice(column, { starts: [1], ends: [rows - i], axes: [0] });
    const vector = b.concat([...zerosAbove(i, b), away, below], 0);
    const reflector = b.div(vector, b.sqrt(b.reduceSumSquare(vector, undefined, true)));
    reflectors.push(reflector);
    rest = reflect(rest, reflector, b);
  }
  const start = Array.from({ length: rows * columns }, (_, at) =>
    Math.floor(at / columns) === at % columns ? 1 : 0,
  );
  const identity = b.constant(float32Tensor(start, [rows, columns]), "identity");
  return reflectors.reduceRight((basis, reflector) => reflect(basis, reflector, b), identity);
}

function zerosAbove(count: number, b: OpBuilder): Value[] {
  return count === 0 ? [] : [b.expand(b.scalar(0, "float32"), b.ints([count, 1]))];
}

/** (I - 2 v v^T) M for a column v of norm 1. */
function reflect(matrix: Value, vector: Value, b: OpBuilder): Value {
  return b.sub(matrix, b.matmul(b.mul(vector, 2), b.matmul(b.transpose(vector, [1, 0]), matrix)));
}
