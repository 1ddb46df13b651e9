/** The inverse of small matrices, for methods whose rotations are Cayley transforms. */
import { float32Tensor } from "../../../src/ir/constant.ts";
import { Graph } from "../../../src/ir/graph.ts";
import { tensorType } from "../../../src/ir/type.ts";
import type { Value } from "../../../src/ir/value.ts";
import { OpBuilder } from "../../../src/ops/builder.ts";
import { detach } from "../../../src/ops/detach.ts";
import { dtypeOf } from "../../../src/ops/facts.ts";

/** The identity matrix. */
export function identity(size: number, b: OpBuilder): Value {
  const values = Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
  return b.constant(float32Tensor(values, [size, size]), "identity");
}

/** Frobenius norm of P - I. */
export function distanceFromIdentity(product: Value, size: number, b: OpBuilder): Value {
  return b.sqrt(b.reduceSumSquare(b.sub(product, identity(size, b)), undefined, false));
}

/**
 * Inverses of `count` matrices (count, size, size) whose symmetric parts are positive definite, such as I + Q with Q skew:
 * all leading minors are then positive, so that elimination needs no pivots (Golub and Van Loan 2013, section 4.2).
 *
 * Elimination runs in a Loop that gradients do not enter. One step of Newton's iteration behind it, 2 X - X A X, doubles the
 * digits, and its derivative in A at X = A^-1 is that of the inverse, -X dA X.
 */
export function inverseOf(matrix: Value, count: number, size: number, b: OpBuilder): Value {
  const found = detach(b, eliminate(detach(b, matrix), count, size, b));
  return b.sub(b.mul(found, 2), b.matmul(b.matmul(found, matrix), found));
}

/** The inverses of the same kind of matrices, in their own type, which gradients do not pass. */
export function inverseWithoutGradient(matrix: Value, count: number, size: number, b: OpBuilder): Value {
  return eliminate(matrix, count, size, b);
}

/** Gauss-Jordan on (A | I), one column an iteration: the pivot's row is divided, and taken from all others. */
function eliminate(matrix: Value, count: number, size: number, b: OpBuilder): Value {
  const dtype = dtypeOf(matrix);
  const right = b.expand(b.cast(identity(size, b), dtype), b.ints([count, size, size]));
  const start = b.concat([matrix, right], 2);
  const body = new Graph("eliminate");
  const column = body.addInput({ name: "column", type: tensorType("int64", []) });
  const condition = body.addInput({ name: "condition", type: tensorType("bool", []) });
  const now = body.addInput({ name: "now", type: tensorType(dtype, [count, size, 2 * size]) });
  const inner = new OpBuilder({ graph: body }, b.opset);
  const pivotRow = inner.gather(now, column, 1);
  const row = inner.div(pivotRow, inner.unsqueeze(inner.gather(pivotRow, column, 1), [1]));
  const places = inner.ints(Array.from({ length: size }, (_, i) => i));
  const isPivot = inner.cast(inner.equal(places, column), dtype);
  const factors = inner.sub(inner.gather(now, column, 2), isPivot);
  const next = inner.sub(now, inner.mul(inner.unsqueeze(factors, [2]), inner.unsqueeze(row, [1])));
  body.setOutputs([inner.op("Identity", [condition]), next]);
  const end = b.op("Loop", [b.int(size), b.scalar(1, "bool"), start], { body });
  return b.slice(end, { starts: [size], ends: [2 * size], axes: [2] });
}
