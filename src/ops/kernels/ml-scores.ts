/** What the estimators of ai.onnx.ml share: rows of features, transforms of scores, labels. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { float32Tensor, int64Tensor } from "../../ir/constant.ts";
import { type Dim, unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { Tensor } from "../../ir/tensor.ts";
import { type TensorType, tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { rankOf } from "../facts.ts";

/** Features as float32 rows, [N, F]; a vector is one row. */
export function featureRows(b: OpBuilder, x: Value): Value {
  const floats = b.cast(x, "float32");
  return rankOf(x) === 1 ? b.unsqueeze(floats, [0]) : floats;
}

/** Number of rows of features. */
export function rowCount(x: Value): Dim {
  const shape = x.tensorType?.shape;
  if (shape === undefined) return unknownDim();
  return shape.length === 1 ? 1 : (shape[0] ?? unknownDim());
}

/** Float32 scores, a row for each row of features. */
export function scoresType(x: Value, columns: Dim): TensorType {
  return tensorType("float32", [rowCount(x), columns]);
}

/** Labels as an attribute lists them. */
export interface Labels {
  readonly ints: readonly number[] | undefined;
  readonly strings: readonly string[] | undefined;
}

/** How many labels there are; 0 where none are listed. */
export function countLabels({ ints, strings }: Labels): number {
  return strings?.length || ints?.length || 0;
}

/** One label for each row of features. */
export function labelsType(x: Value, { strings }: Labels): TensorType {
  return tensorType((strings?.length ?? 0) > 0 ? "string" : "int64", [rowCount(x)]);
}

/** The labels as a constant vector. */
export function labelTable(b: OpBuilder, { ints, strings }: Labels): Value {
  if (strings === undefined || strings.length === 0) return b.constant(int64Tensor(ints ?? []));
  const encoder = new TextEncoder();
  const values = strings.map((label) => encoder.encode(label));
  return b.constant(new Tensor("string", [values.length], { kind: "strings", values }));
}

/** A float32 constant of a matrix that an attribute holds row by row. */
export function matrix(b: OpBuilder, values: readonly number[], rows: number, columns: number): Value {
  return b.constant(float32Tensor(values, [rows, columns]));
}

/**
 * Applies `post_transform` to rows of at least two scores, as ONNX Runtime does: PROBIT by Winitzki's approximation of the
 * inverse error function, SOFTMAX_ZERO leaving scores of zero out of the sum.
 */
export function transformScores(b: OpBuilder, node: Node, scores: Value, transform: string): Value {
  switch (transform) {
    case "NONE":
      return scores;
    case "SOFTMAX":
      return b.op("Softmax", [scores], { axis: -1 });
    case "LOGISTIC":
      return b.op("Sigmoid", [scores]);
    case "PROBIT":
      return probit(b, scores);
    case "SOFTMAX_ZERO":
      return softmaxZero(b, scores);
  }
  throw operatorErrors.E_BAD_ATTRIBUTE(
    node,
    "post_transform",
    "one of NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO, PROBIT",
    `"${transform}"`,
  );
}

/** sqrt(2) erfinv(2s - 1), with erfinv(u) = sign(u) sqrt(sqrt(v^2 - L/a) - v), L = log(1 - u^2), v = 2/(pi a) + L/2. */
export function probit(b: OpBuilder, scores: Value): Value {
  const a = 0.147;
  const u = b.sub(b.mul(scores, 2), 1);
  const log = b.log(b.mul(b.sub(1, u), b.add(u, 1)));
  const v = b.add(b.mul(log, 0.5), 2 / (Math.PI * a));
  const root = b.sqrt(b.sub(b.mul(v, v), b.mul(log, 1 / a)));
  return b.mul(b.mul(b.sign(u), b.sqrt(b.sub(root, v))), Math.SQRT2);
}

function softmaxZero(b: OpBuilder, scores: Value): Value {
  const counts = b.greater(b.abs(scores), 1e-7);
  const top = b.reduceMax(scores, [1]);
  const shifted = b.exp(b.sub(scores, top));
  const parts = b.where(counts, shifted, b.mul(scores, b.exp(b.neg(top))));
  const sum = b.reduceSum(b.where(counts, parts, 0), [1]);
  return b.div(parts, b.where(b.equal(sum, 0), 1, sum));
}
