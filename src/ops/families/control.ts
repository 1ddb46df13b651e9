/** Operators that run bodies on a condition or a number of times: If, Loop. */
import { constantOf } from "../../ir/constant.ts";
import { unknownDim } from "../../ir/dim.ts";
import type { Graph } from "../../ir/graph.ts";
import { tensorType, type ValueType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { defineOp, none } from "../define.ts";
import { inferCarried, meetValues } from "../kernels/body-types.ts";
import { contentOf } from "../kernels/content.ts";
import { requireAttribute } from "../kernels/require-attribute.ts";
import { joinCopies, joinStack, pushOne, stackedType } from "../kernels/stacked.ts";
import { copyBody, countCopies } from "../kernels/unroll.ts";
import { fromNumbers, NDArray } from "../ndarray.ts";
import { graph } from "../params.ts";

const versions = [1, 11, 13, 16, 19, 21, 23, 24, 25];
const scalar = tensorType("int64", []);
const flag = tensorType("bool", []);

export const If = defineOp({
  type: "If",
  versions,
  inputs: ["condition"],
  outputs: ["ys..."],
  attributes: { then_branch: graph(), else_branch: graph() },
  infer: ({ node, in: { condition }, attrs: { then_branch, else_branch }, inferBody }) => {
    const [yes, no] = [
      requireAttribute(node, "then_branch", then_branch),
      requireAttribute(node, "else_branch", else_branch),
    ];
    inferBody(yes);
    inferBody(no);
    const known = truthOf(condition);
    return node.outputs.map((_, index) => {
      const [left, right] = [yes.outputs[index], no.outputs[index]];
      if (known === undefined) return meetValues(left, right);
      return meetValues(known ? left : right, known ? left : right);
    });
  },
  evaluate: ({ node, in: { condition }, attrs, runBody }) => {
    const branch = condition.numbers[0] === 0 ? "else_branch" : "then_branch";
    return runBody(requireAttribute(node, branch, attrs[branch]), []);
  },
  precision: "exact",
  gradient: none("gradients through branches that are chosen at run time are not written yet"),
});

export const Loop = defineOp({
  type: "Loop",
  versions,
  inputs: ["count?", "condition?", "initial..."],
  outputs: ["ys..."],
  attributes: { body: graph() },
  infer: ({ node, in: { count, condition, initial }, attrs, inferBody }) => {
    const body = requireAttribute(node, "body", attrs.body);
    const fixed = new Map<number, ValueType>([
      [0, scalar],
      [1, flag],
    ]);
    const carried = initial.map(({ type }, i) => ({ input: i + 2, output: i + 1, type }));
    const types = inferCarried(body, fixed, carried, inferBody);
    const trips = (runsToEnd(condition, body) ? contentOf(count)?.[0] : undefined) ?? unknownDim();
    return [
      ...types,
      ...body.outputs.slice(1 + initial.length).map((output) => stackedType(node, output, 0, trips)),
    ];
  },
  evaluate: ({ node, in: { count, condition, initial }, attrs, runBody }) => {
    const body = requireAttribute(node, "body", attrs.body);
    const most = count === undefined ? Number.POSITIVE_INFINITY : (count.toNumbers()[0] ?? 0);
    let state = [...initial];
    let goOn = condition === undefined || condition.numbers[0] !== 0;
    const stacks = body.outputs.slice(1 + initial.length).map((): NDArray[] => []);
    for (let i = 0; i < most && goOn; i++) {
      const [next, ...results] = runBody(body, [
        fromNumbers("int64", [], [i]),
        new NDArray("bool", [], Float64Array.of(1)),
        ...state,
      ]);
      goOn = next?.numbers[0] !== 0;
      state = results.slice(0, initial.length);
      stacks.forEach((stack, at) => pushOne(node, stack, results[initial.length + at], 0));
    }
    return [
      ...state,
      ...stacks.map((stack, at) => joinStack(node, stack, body.outputs[1 + initial.length + at], 0)),
    ];
  },
  precision: "exact",
  // A loop whose length is known is its body, as often as it runs.
  gradient: {
    kind: "expand",
    rule: ({ node, in: { count, condition, initial }, attrs, b }) => {
      const body = requireAttribute(node, "body", attrs.body);
      const trips = countCopies(node, body, runsToEnd(condition, body) ? contentOf(count)?.[0] : undefined);
      const stacks = body.outputs.slice(1 + initial.length).map((): Value[] => []);
      let state: readonly Value[] = initial;
      for (let i = 0; i < trips; i++) {
        const results = copyBody(b, body, [b.int(i), b.scalar(1, "bool"), ...state]).slice(1);
        state = results.slice(0, initial.length);
        results.slice(initial.length).forEach((result, at) => stacks[at]?.push(b.unsqueeze(result, [0])));
      }
      const ends = stacks.map((stack, at) =>
        joinCopies(b, node, stack, 0, node.outputs[initial.length + at]),
      );
      return [...state, ...ends];
    },
  },
  hostInputs: ["count", "condition"],
});

/** A condition that is known, through contents or as a constant. */
function truthOf(condition: Value): boolean | undefined {
  const element = condition.content?.[0];
  if (typeof element === "number") return element !== 0;
  const constant = constantOf(condition);
  return constant?.dtype === "bool" && constant.size === 1 ? constant.bytes()[0] !== 0 : undefined;
}

/**
 * Whether only the count ends the loop: the condition is true at first, and the body passes it on or says
 * true.
 */
function runsToEnd(condition: Value | undefined, body: Graph): boolean {
  if (condition !== undefined && truthOf(condition) !== true) return false;
  let next = body.outputs[0];
  while (next?.producer?.op === "Identity" && next.producer.domain === "") next = next.producer.input(0);
  return next !== undefined && (next === body.inputs[1] || truthOf(next) === true);
}
