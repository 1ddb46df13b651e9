/** Operators that run bodies: If, Loop, Scan. */
import { InternalError } from "../../diagnostics/define.ts";
import { constantOf } from "../../ir/constant.ts";
import { type Dim, unknownDim } from "../../ir/dim.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Node } from "../../ir/node.ts";
import { unknownShape } from "../../ir/shape.ts";
import { tensorType, type ValueType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { defineOp, none } from "../define.ts";
import { inferCarried, meetValues } from "../kernels/body-types.ts";
import { contentOf } from "../kernels/content.ts";
import { concatenate, countUp, pickAlongAxes } from "../kernels/rearrange.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { requireAttribute } from "../kernels/require-attribute.ts";
import { fromNumbers, NDArray } from "../ndarray.ts";
import { graph, int, ints } from "../params.ts";
import type { Inferred } from "../record.ts";

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
  gradient: none("gradients through If are not written yet"),
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
  gradient: none("gradients through Loop are not written yet"),
  hostInputs: ["count", "condition"],
});

export const Scan = defineOp({
  type: "Scan",
  versions: [8, 9, 11, 16, 19, 21, 23, 24, 25],
  inputs: ["operands..."],
  outputs: ["ys..."],
  attributes: {
    body: graph(),
    num_scan_inputs: int(0),
    scan_input_axes: ints(),
    scan_input_directions: ints(),
    scan_output_axes: ints(),
    scan_output_directions: ints(),
  },
  infer: ({ node, in: { operands }, attrs, inferBody }) => {
    const body = requireAttribute(node, "body", attrs.body);
    const states = operands.length - attrs.num_scan_inputs;
    const scanned = operands
      .slice(states)
      .map((operand, i) => sliceType(node, operand, attrs.scan_input_axes?.[i] ?? 0));
    const fixed = new Map<number, ValueType>();
    scanned.forEach(({ element }, i) => {
      if (element !== undefined) fixed.set(states + i, element);
    });
    const carried = operands.slice(0, states).map(({ type }, i) => ({ input: i, output: i, type }));
    const types = inferCarried(body, fixed, carried, inferBody);
    const length = scanned.map((each) => each.length).find((dim) => dim !== undefined) ?? unknownDim();
    const stacked = body.outputs.slice(states);
    return [
      ...types,
      ...stacked.map((output, i) => stackedType(node, output, attrs.scan_output_axes?.[i] ?? 0, length)),
    ];
  },
  evaluate: ({ node, in: { operands }, attrs, runBody }) => {
    const body = requireAttribute(node, "body", attrs.body);
    const states = operands.length - attrs.num_scan_inputs;
    const scanned = operands.slice(states).map((array, i) => {
      const axis = axisOf(node, attrs.scan_input_axes?.[i] ?? 0, array.rank);
      return { array, axis, length: array.shape[axis] ?? 0, reverse: attrs.scan_input_directions?.[i] === 1 };
    });
    const length = scanned[0]?.length ?? 0;
    let state = operands.slice(0, states);
    const outputs = body.outputs.slice(states).map((output, i) => ({
      output,
      axis: attrs.scan_output_axes?.[i] ?? 0,
      reverse: attrs.scan_output_directions?.[i] === 1,
      stack: [] as NDArray[],
    }));
    for (let step = 0; step < length; step++) {
      const slices = scanned.map(({ array, axis, reverse }) =>
        takeSlice(array, axis, reverse ? length - 1 - step : step),
      );
      const results = runBody(body, [...state, ...slices]);
      state = results.slice(0, states);
      outputs.forEach(({ stack, axis }, i) => pushOne(node, stack, results[states + i], axis));
    }
    return [
      ...state,
      ...outputs.map(({ stack, output, axis, reverse }) =>
        joinStack(node, reverse ? stack.reverse() : stack, output, axis),
      ),
    ];
  },
  precision: "exact",
  gradient: none("gradients through Scan are not written yet"),
  upgrades: {
    9: () => {
      throw new InternalError("Scan of opset 8 runs over batches of sequences of different lengths");
    },
  },
});

/** A condition that is known, through contents or as a constant. */
function truthOf(condition: Value): boolean | undefined {
  const element = condition.content?.[0];
  if (typeof element === "number") return element !== 0;
  const constant = constantOf(condition);
  return constant?.dtype === "bool" && constant.size === 1 ? constant.bytes()[0] !== 0 : undefined;
}

/** Whether only the count ends the loop: the condition is true at first, and the body passes it on or says true. */
function runsToEnd(condition: Value | undefined, body: Graph): boolean {
  if (condition !== undefined && truthOf(condition) !== true) return false;
  let next = body.outputs[0];
  while (next?.producer?.op === "Identity" && next.producer.domain === "") next = next.producer.input(0);
  return next !== undefined && (next === body.inputs[1] || truthOf(next) === true);
}

/** The type of one iteration's result, stacked along a new axis. */
function stackedType(node: Node, output: Value, axis: number, length: Dim): Inferred {
  const type = output.tensorType;
  if (type?.shape === undefined) return type;
  const at = axisOf(node, axis, type.shape.length + 1);
  return tensorType(type.dtype, type.shape.toSpliced(at, 0, length));
}

/** The type of one slice along an axis, and how many there are. */
function sliceType(
  node: Node,
  operand: Value,
  axis: number,
): { element: ValueType | undefined; length: Dim | undefined } {
  const type = operand.tensorType;
  if (type?.shape === undefined) return { element: type && tensorType(type.dtype), length: undefined };
  const at = axisOf(node, axis, type.shape.length);
  return { element: tensorType(type.dtype, type.shape.toSpliced(at, 1)), length: type.shape[at] };
}

function takeSlice(array: NDArray, axis: number, index: number): NDArray {
  const picks = array.shape.map(countUp).with(axis, [index]);
  return pickAlongAxes(array, picks).reshaped(array.shape.toSpliced(axis, 1));
}

function pushOne(node: Node, stack: NDArray[], array: NDArray | undefined, axis: number): void {
  if (array === undefined) throw new InternalError("a body gave fewer results than it has outputs");
  const at = axisOf(node, axis, array.rank + 1);
  stack.push(array.reshaped(array.shape.toSpliced(at, 0, 1)));
}

/** Results of all iterations along a new axis; without any, the body's type says what is empty. */
function joinStack(node: Node, stack: readonly NDArray[], output: Value | undefined, axis: number): NDArray {
  const [first] = stack;
  if (first !== undefined) return concatenate(stack, axisOf(node, axis, first.rank));
  const type = output?.tensorType;
  const shape = (type?.shape ?? unknownShape(0)).map((dim) => (typeof dim === "number" ? dim : 0));
  const at = axisOf(node, axis, shape.length + 1);
  return fromNumbers(type?.dtype ?? "float32", shape.toSpliced(at, 0, 0), []);
}
