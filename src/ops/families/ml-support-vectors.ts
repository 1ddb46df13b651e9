/** Support vector machines of ai.onnx.ml: SVMRegressor and SVMClassifier. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { float32Tensor } from "../../ir/constant.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp, refuse } from "../define.ts";
import { detach } from "../detach.ts";
import { byExpansion } from "../kernels/expanded.ts";
import {
  countLabels,
  featureRows,
  labelsType,
  matrix,
  scoresType,
  transformScores,
} from "../kernels/ml-scores.ts";
import { requireAttribute, requireOneOf } from "../kernels/require-attribute.ts";
import { floats, int, ints, text, texts } from "../params.ts";

const domain = "ai.onnx.ml";

interface Kernel {
  readonly kernel_type: string;
  readonly kernel_params: readonly number[] | undefined;
  readonly support_vectors: readonly number[] | undefined;
}

/** Kernels by ONNX's names, in capitals: one of them is also the name of a method, which shared code does not know. */
const kernels = ["linear", "poly", "rbf", "sigmoid"].map((name) => name.toUpperCase());

/** Kernel of every row with every support vector, [N, S]; gamma, coef0 and degree stand in `kernel_params`. */
function kernelValues(b: OpBuilder, node: Node, x: Value, kernel: Kernel, supports: number): Value {
  const { kernel_type: type, kernel_params: params = [] } = kernel;
  requireOneOf(node, "kernel_type", type, kernels);
  const vectors = requireAttribute(node, "support_vectors", kernel.support_vectors);
  const [gamma = 0, coef0 = 0, degree = 0] = params;
  const rows = featureRows(b, x);
  const all = matrix(b, vectors, supports, vectors.length / supports);
  if (type === "RBF") {
    const apart = b.sub(b.unsqueeze(rows, [1]), b.unsqueeze(all, [0]));
    return b.exp(b.mul(b.reduceSumSquare(apart, [2], false), -gamma));
  }
  const dot = b.matmul(rows, b.transpose(all, [1, 0]));
  if (type === "LINEAR") return dot;
  const scaled = b.add(b.mul(dot, gamma), coef0);
  return type === "SIGMOID" ? b.op("Tanh", [scaled]) : b.pow(scaled, degree);
}

/** Kernels times coefficients plus `rho`, or a plain line without support vectors. `post_transform` is left out, as ONNX Runtime does. */
export const SVMRegressor = defineOp({
  type: "SVMRegressor",
  domain,
  versions: [1],
  inputs: ["x"],
  outputs: ["y"],
  attributes: {
    coefficients: floats(),
    kernel_params: floats(),
    kernel_type: text("LINEAR"),
    n_supports: int(0),
    one_class: int(0),
    post_transform: text("NONE"),
    rho: floats(),
    support_vectors: floats(),
  },
  infer: ({ in: { x } }) => [scoresType(x, 1)],
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x }, attrs, b }) => {
      const { n_supports: supports } = attrs;
      const coefficients = requireAttribute(node, "coefficients", attrs.coefficients);
      const terms = supports > 0 ? kernelValues(b, node, x, attrs, supports) : featureRows(b, x);
      const sum = b.matmul(terms, matrix(b, coefficients, coefficients.length, 1));
      const score = b.add(sum, attrs.rho?.[0] ?? 0);
      if (attrs.one_class === 0) return [score];
      // -1 or 1, which no gradient passes.
      return [b.where(b.greater(score, 0), b.scalar(1, "float32"), b.scalar(-1, "float32"))];
    },
  },
});

/**
 * The label that wins most comparisons, and the scores as ONNX Runtime gives them: of each pair of classes, or with `vectors_per_class`
 * left out of each class by a line.
 * Probabilities come from an iteration, which has no formula and is refused. Labels carry no gradient.
 */
export const SVMClassifier = defineOp({
  type: "SVMClassifier",
  domain,
  versions: [1],
  inputs: ["x"],
  outputs: ["label", "scores"],
  attributes: {
    classlabels_ints: ints(),
    classlabels_strings: texts(),
    coefficients: floats(),
    kernel_params: floats(),
    kernel_type: text("LINEAR"),
    post_transform: text("NONE"),
    prob_a: floats(),
    prob_b: floats(),
    rho: floats(),
    support_vectors: floats(),
    vectors_per_class: ints(),
  },
  infer: ({ in: { x }, attrs }) => {
    const labels = { ints: attrs.classlabels_ints, strings: attrs.classlabels_strings };
    const classes = countLabels(labels);
    const pairs = (classes * (classes - 1)) / 2;
    const perClass = !attrs.vectors_per_class?.length || attrs.prob_a?.length || classes <= 2;
    return [labelsType(x, labels), scoresType(x, perClass ? classes : pairs)];
  },
  evaluate: refuse("the label is found by votes, which are left to the runtime"),
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x }, attrs, b }) => {
      const labels = { ints: attrs.classlabels_ints, strings: attrs.classlabels_strings };
      // The node itself goes on to choose labels, out of a gradient's way.
      const attributes = Object.fromEntries(node.attributes);
      const [label] = b.ops(node.op, [detach(b, x)], attributes, 2, domain);
      return [label ?? null, classScores(b, node, x, attrs, countLabels(labels))];
    },
  },
});

interface Machine extends Kernel {
  readonly coefficients: readonly number[] | undefined;
  readonly rho: readonly number[] | undefined;
  readonly prob_a: readonly number[] | undefined;
  readonly vectors_per_class: readonly number[] | undefined;
  readonly post_transform: string;
}

function classScores(b: OpBuilder, node: Node, x: Value, machine: Machine, classes: number): Value {
  const { vectors_per_class: counts = [], rho = [], post_transform: transform } = machine;
  if (machine.prob_a?.length) {
    const expected =
      "raw scores: probabilities come from an iteration, which has no formula to differentiate";
    throw operatorErrors.E_BAD_ATTRIBUTE(node, "prob_a", expected, `${machine.prob_a.length} numbers`);
  }
  const coefficients = requireAttribute(node, "coefficients", machine.coefficients);
  if (counts.length === 0) {
    const lines = matrix(b, coefficients, classes, coefficients.length / classes);
    const sums = b.matmul(featureRows(b, x), b.transpose(lines, [1, 0]));
    return transformScores(b, node, b.add(sums, rho[0] ?? 0), transform);
  }
  const supports = counts.reduce((sum, count) => sum + count, 0);
  const weights = pairWeights(coefficients, counts);
  const kernels = kernelValues(b, node, x, machine, supports);
  const pairs = weights.length;
  const columns = b.transpose(matrix(b, weights.flat(), pairs, supports), [1, 0]);
  const scores = b.add(b.matmul(kernels, columns), b.constant(float32Tensor(rho.slice(0, pairs))));
  return pairs === 1 ? pairScores(b, node, scores, transform) : transformScores(b, node, scores, transform);
}

/** For each pair of classes, the weight of every support vector: those of one class are weighed for each other class. */
function pairWeights(coefficients: readonly number[], counts: readonly number[]): number[][] {
  const owners = counts.flatMap((count, owner) => new Array<number>(count).fill(owner));
  const weight = (row: number, vector: number): number => coefficients[row * owners.length + vector] ?? 0;
  return counts.flatMap((_, first) =>
    counts.slice(first + 1).map((_count, after) => {
      const second = first + 1 + after;
      return owners.map((owner, vector) => {
        if (owner === first) return weight(second - 1, vector);
        return owner === second ? weight(first, vector) : 0;
      });
    }),
  );
}

/** Both scores of two classes from the only comparison. */
function pairScores(b: OpBuilder, node: Node, score: Value, transform: string): Value {
  switch (transform) {
    case "NONE":
      return b.concat([b.neg(score), score], 1);
    case "LOGISTIC":
      return b.concat([b.op("Sigmoid", [b.neg(score)]), b.op("Sigmoid", [score])], 1);
    case "SOFTMAX":
    case "SOFTMAX_ZERO":
      return b.concat([b.sub(1, score), score], 1);
  }
  const expected = "NONE, LOGISTIC, SOFTMAX or SOFTMAX_ZERO for two classes";
  throw operatorErrors.E_BAD_ATTRIBUTE(node, "post_transform", expected, `"${transform}"`);
}
