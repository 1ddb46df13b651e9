/**
 * Rules for element-wise operators that change nothing, exact in every element type but for the sign of a zero in Add; and
 * for those that the runtime lacks.
 */
import { constantOf } from "../../ir/constant.ts";
import type { Value } from "../../ir/value.ts";
import { swish } from "../../ops/kernels/swish.ts";
import { isFilledWith } from "../match.ts";
import { mayBeParameter } from "../parameters.ts";
import { nodeRule, type Rule, rule, type Verdict } from "../rule.ts";
import { haveSameShape, keepsShape } from "./proofs.ts";

const neutral = [
  ["Add", 0],
  ["Sub", 0],
  ["Mul", 1],
  ["Div", 1],
  ["Pow", 1],
  ["And", 1],
  ["Or", 0],
] as const;

/** x + 0, x - 0, x * 1, x / 1, x ^ 1, x and true, x or false. */
const dropNeutral = neutral.map(([op, number]) =>
  rule(`drop-neutral-${op.toLowerCase()}`, {
    match: (p) => p[op](p.x, number),
    when: ({ x }, root) => {
      const other = root.inputs.find((operand) => operand !== x);
      if (other != null && mayBeParameter(other)) return "the constant may be a parameter";
      return constantOf(other)?.dims.length === 0 || keepsShape(x, root);
    },
    build: ({ x }) => x,
  }),
);

/** Functions that are their own inverse. */
const cancelPairs = (["Neg", "Not", "BitwiseNot"] as const).map((op) =>
  rule(`cancel-double-${op === "BitwiseNot" ? "bitwise-not" : op.toLowerCase()}`, {
    match: (p) => p[op](p[op](p.x)),
    build: ({ x }) => x,
  }),
);

const whereTrue = rule("choose-constant-true", {
  match: (p) => p.Where(p.constant(p.condition), p.x, p.y),
  when: ({ condition, x }, root) => isFilledWith(condition, 1) && keepsBranch(x, root.output(0)),
  build: ({ x }) => x,
});

const whereFalse = rule("choose-constant-false", {
  match: (p) => p.Where(p.constant(p.condition), p.x, p.y),
  when: ({ condition, y }, root) => isFilledWith(condition, 0) && keepsBranch(y, root.output(0)),
  build: ({ y }) => y,
});

const whereSame = rule("choose-between-equals", {
  match: (p) => p.Where(p.condition, p.x, p.x),
  when: ({ x }, root) => keepsBranch(x, root.output(0)),
  build: ({ x }) => x,
});

function keepsBranch(branch: Value, result: Value): Verdict {
  return haveSameShape(branch, result) || "the branch is not known to have the shape of the result";
}

/** Sum, Mean, Max, Min and Concat of one operand. */
const dropSingle = nodeRule("drop-single-operand", {
  roots: ["Sum", "Mean", "Max", "Min", "Concat"],
  when: (node) => node.inputs.length === 1 && node.input(0) !== undefined,
  build: (node) => node.input(0) ?? node.output(0),
});

/** The runtime has no kernel, and takes the function of ONNX in models of opset 24 alone. */
const writeSwish = nodeRule("write-out-swish", {
  roots: ["Swish"],
  when: (node) => node.input(0) !== undefined,
  build: (node, b) => {
    const x = node.input(0);
    return x === undefined ? node.output(0) : swish(b, x, node.float("alpha", 1));
  },
});

export const elementwiseRules: readonly Rule[] = [
  ...dropNeutral,
  ...cancelPairs,
  whereTrue,
  whereFalse,
  whereSame,
  dropSingle,
  writeSwish,
];
