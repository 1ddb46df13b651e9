/** Linear estimators of ai.onnx.ml: LinearRegressor and LinearClassifier. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { float32Tensor } from "../../ir/constant.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { byExpansion } from "../kernels/expanded.ts";
import {
  countLabels,
  featureRows,
  labelsType,
  labelTable,
  matrix,
  probit,
  scoresType,
  transformScores,
} from "../kernels/ml-scores.ts";
import { requireAttribute } from "../kernels/require-attribute.ts";
import { counts, floats, int, ints, text, texts } from "../params.ts";

const domain = "ai.onnx.ml";

/** `x w' + b` for weights of one target after the other. */
function linear(
  b: OpBuilder,
  node: Node,
  x: Value,
  weights: { coefficients: readonly number[] | undefined; intercepts: readonly number[] | undefined },
  targets: number,
): Value {
  const values = requireAttribute(node, "coefficients", weights.coefficients);
  const features = values.length / targets;
  if (!Number.isInteger(features)) {
    const expected = `as many numbers for each of ${targets} targets`;
    throw operatorErrors.E_BAD_ATTRIBUTE(node, "coefficients", expected, `${values.length} numbers`);
  }
  const w = matrix(b, values, targets, features);
  const product = b.matmul(featureRows(b, x), b.transpose(w, [1, 0]));
  const { intercepts } = weights;
  return intercepts?.length ? b.add(product, b.constant(float32Tensor(intercepts))) : product;
}

/** Scores of each target; like ONNX Runtime, which transforms a single one by PROBIT only. */
export const LinearRegressor = defineOp({
  type: "LinearRegressor",
  domain,
  versions: [1],
  inputs: ["x"],
  outputs: ["y"],
  attributes: {
    coefficients: floats(),
    intercepts: floats(),
    post_transform: text("NONE"),
    targets: int(1, counts),
  },
  infer: ({ in: { x }, attrs: { targets } }) => [scoresType(x, targets)],
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x }, attrs, b }) => {
      const { targets, post_transform: transform } = attrs;
      const scores = linear(b, node, x, attrs, targets);
      if (targets > 1) return [transformScores(b, node, scores, transform)];
      return [transform === "PROBIT" ? probit(b, scores) : scores];
    },
  },
});

/**
 * The best label, and the scores. One set of coefficients and two labels are the scores `1 - s, s`, or `sigmoid(-s), sigmoid(s)` for
 * LOGISTIC, as ONNX Runtime has it. Labels carry no gradient.
 */
export const LinearClassifier = defineOp({
  type: "LinearClassifier",
  domain,
  versions: [1],
  inputs: ["x"],
  outputs: ["label", "scores"],
  attributes: {
    classlabels_ints: ints(),
    classlabels_strings: texts(),
    coefficients: floats(),
    intercepts: floats(),
    multi_class: int(0),
    post_transform: text("NONE"),
  },
  infer: ({ in: { x }, attrs }) => {
    const labels = { ints: attrs.classlabels_ints, strings: attrs.classlabels_strings };
    return [labelsType(x, labels), scoresType(x, Math.max(countLabels(labels), classCount(attrs)))];
  },
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x }, attrs, b }) => {
      const labels = { ints: attrs.classlabels_ints, strings: attrs.classlabels_strings };
      const classes = classCount(attrs);
      const raw = linear(b, node, x, attrs, classes);
      const table = labelTable(b, labels);
      if (classes > 1) {
        const best = b.op("ArgMax", [raw], { axis: 1, keepdims: 0 });
        return [b.gather(table, best), transformScores(b, node, raw, attrs.post_transform)];
      }
      if (countLabels(labels) !== 2)
        throw operatorErrors.E_BAD_ATTRIBUTE(node, "classlabels", "two labels", `${countLabels(labels)}`);
      const positive = b.cast(b.greater(b.squeeze(raw, [1]), 0), "int64");
      return [b.gather(table, positive), binaryScores(b, node, raw, attrs.post_transform)];
    },
  },
});

/** Intercepts are one for each class; without them the coefficients belong to the labels. */
function classCount(attrs: {
  readonly intercepts: readonly number[] | undefined;
  readonly classlabels_ints: readonly number[] | undefined;
  readonly classlabels_strings: readonly string[] | undefined;
}): number {
  if (attrs.intercepts?.length) return attrs.intercepts.length;
  return countLabels({ ints: attrs.classlabels_ints, strings: attrs.classlabels_strings });
}

/** Both scores of two classes from that of the second. */
function binaryScores(b: OpBuilder, node: Node, score: Value, transform: string): Value {
  if (transform === "PROBIT") {
    const expected = "a transform other than PROBIT for a single score, which the runtime computes wrongly";
    throw operatorErrors.E_BAD_ATTRIBUTE(node, "post_transform", expected, '"PROBIT"');
  }
  const pair =
    transform === "LOGISTIC"
      ? [b.op("Sigmoid", [b.neg(score)]), b.op("Sigmoid", [score])]
      : [b.sub(1, score), score];
  return b.concat(pair, 1);
}
