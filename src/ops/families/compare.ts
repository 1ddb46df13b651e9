/** Comparisons of two broadcast operands, and the tests for NaN and infinity. */

import { type Dim, unknownDim } from "../../ir/dim.ts";
import { compareEqual, compareLess } from "../../ir/dim-sign.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { defineOp, zero } from "../define.ts";
import { comparePair } from "../kernels/elementwise.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { partsOfElements } from "../kernels/parts.ts";
import { selectElements } from "../kernels/select-along.ts";
import { NDArray } from "../ndarray.ts";
import { int } from "../params.ts";
import type { Inferred, Op } from "../record.ts";

type Element = number | bigint | string;

export const Equal = defineComparison("Equal", [1, 7, 11, 13, 19], (x, y) => x === y, compareEqual);
export const Less = defineComparison("Less", [1, 7, 9, 13], (x, y) => x < y, compareLess);
export const LessOrEqual = defineComparison(
  "LessOrEqual",
  [12, 16],
  (x, y) => x <= y,
  (x, y) => negate(compareLess(y, x)),
);
export const Greater = defineComparison(
  "Greater",
  [1, 7, 9, 13],
  (x, y) => x > y,
  (x, y) => compareLess(y, x),
);
export const GreaterOrEqual = defineComparison(
  "GreaterOrEqual",
  [12, 16],
  (x, y) => x >= y,
  (x, y) => negate(compareLess(x, y)),
);

export const IsNaN = defineOp({
  type: "IsNaN",
  parts: partsOfElements,
  versions: [9, 13, 20],
  inputs: ["x"],
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => [inferTest(x)],
  evaluate: ({ in: { x } }) => [testEach(x, Number.isNaN)],
  precision: "exact",
  gradient: zero("the result is a truth value"),
});

export const IsInf = defineOp({
  type: "IsInf",
  parts: partsOfElements,
  versions: [10, 20],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { detect_negative: int(1), detect_positive: int(1) },
  infer: ({ in: { x } }) => [inferTest(x)],
  evaluate: ({ in: { x }, attrs: { detect_negative, detect_positive } }) => [
    testEach(
      x,
      (v) => (v === Infinity && detect_positive !== 0) || (v === -Infinity && detect_negative !== 0),
    ),
  ],
  precision: "exact",
  gradient: zero("the result is a truth value"),
});

/** A comparison; `onContent` gives the answer for symbolic dimensions, undefined where it depends on them. */
function defineComparison(
  type: string,
  versions: readonly number[],
  compare: (x: Element, y: Element) => boolean,
  onContent: (x: Dim, y: Dim) => boolean | undefined,
): Op {
  const answer = (x: Dim, y: Dim): Dim => {
    const known = onContent(x, y);
    return known === undefined ? unknownDim() : Number(known);
  };
  return defineOp({
    type,
    versions,
    inputs: ["x", "y"],
    outputs: ["z"],
    attributes: {},
    select: selectElements,
    parts: partsOfElements,
    infer: ({ node, in: { x, y } }) => [inferBroadcast(node, [x, y], "bool", answer)],
    evaluate: ({ in: { x, y } }) => [comparePair(x, y, compare)],
    precision: "follow",
    gradient: zero("the result is a truth value"),
  });
}

function negate(answer: boolean | undefined): boolean | undefined {
  return answer === undefined ? undefined : !answer;
}

function inferTest(x: Value): Inferred {
  return tensorType("bool", x.tensorType?.shape);
}

function testEach(x: NDArray, test: (x: number) => boolean): NDArray {
  return new NDArray(
    "bool",
    x.shape,
    x.numbers.map((value) => Number(test(value))),
  );
}
