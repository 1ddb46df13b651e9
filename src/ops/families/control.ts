/** Operators that run bodies on a condition or a number of times: If, Loop. */
import { type Dim, maxDims, mulDims } from "../../ir/dim.ts";
import { tensorType, type ValueType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { inferCarried, meetValues } from "../kernels/body-types.ts";
import { branchRegions, reverseIf } from "../kernels/if-gradient.ts";
import { loopRegions, reverseLoop } from "../kernels/loop-gradient.ts";
import { tripsOf, truthOf } from "../kernels/loop-length.ts";
import { requireAttribute } from "../kernels/require-attribute.ts";
import { requireBody, requireOperands } from "../kernels/require-body.ts";
import { isEmptySequence } from "../kernels/sequence-types.ts";
import { joinStack, pushOne, stackedType } from "../kernels/stacked.ts";
import { fromNumbers, NDArray } from "../ndarray.ts";
import { graph } from "../params.ts";

const versions = [1, 11, 13, 16, 19, 21, 23, 24, 25];
const scalar = tensorType("int64", []);
const flag = tensorType("bool", []);

export const If = defineOp({
  type: "If",
  versions,
  inputs: ["condition"],
  ranks: { condition: [0, 1] },
  outputs: ["ys..."],
  attributes: { then_branch: graph(), else_branch: graph() },
  infer: ({ node, in: { condition }, attrs: { then_branch, else_branch }, inferBody }) => {
    const [yes, no] = [
      requireAttribute(node, "then_branch", then_branch),
      requireAttribute(node, "else_branch", else_branch),
    ];
    const counts = { inputs: 0, outputs: node.outputs.length };
    requireBody(node, "then_branch", yes, counts);
    requireBody(node, "else_branch", no, counts);
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
  cost: {
    flops: ({ attrs: { then_branch, else_branch }, ofBody }) =>
      [then_branch, else_branch].reduce<Dim>(
        (most, branch) => (branch ? maxDims(most, ofBody(branch)) : most),
        0,
      ),
  },
  gradient: { kind: "bodies", regions: branchRegions, rule: reverseIf },
  rankFree: true,
});

export const Loop = defineOp({
  type: "Loop",
  versions,
  inputs: ["count?", "condition?", "initial..."],
  ranks: { count: [0, 1], condition: [0, 1] },
  outputs: ["ys..."],
  attributes: { body: graph() },
  infer: ({ node, in: { count, condition, initial }, attrs, inferBody }) => {
    const body = requireAttribute(node, "body", attrs.body);
    const results = Math.max(initial.length, node.outputs.length);
    requireOperands(node, 2);
    requireBody(node, "body", body, { inputs: initial.length + 2, outputs: results + 1 });
    const fixed = new Map<number, ValueType>([
      [0, scalar],
      [1, flag],
    ]);
    const carried = initial.map((start, i) => ({
      input: i + 2,
      output: i + 1,
      type: start.type,
      isEmpty: isEmptySequence(start),
    }));
    const types = inferCarried(body, fixed, carried, inferBody);
    const trips = tripsOf(count, condition, body);
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
  cost: {
    flops: ({ in: { count, condition }, attrs: { body }, ofBody }) =>
      body === undefined ? 0 : mulDims(tripsOf(count, condition, body), ofBody(body)),
  },
  gradient: { kind: "bodies", regions: loopRegions, rule: reverseLoop },
  hostInputs: ["count", "condition"],
});
