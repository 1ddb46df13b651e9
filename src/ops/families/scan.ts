/** Scan: a body that runs over slices. */
import { InternalError } from "../../diagnostics/define.ts";
import { operatorErrors } from "../../diagnostics/operator.ts";
import { cloneGraph } from "../../ir/clone.ts";
import { type Dim, dimsDiffer, mulDims, unknownDim } from "../../ir/dim.ts";
import { Graph } from "../../ir/graph.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType, type ValueType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf } from "../facts.ts";
import { inferCarried } from "../kernels/body-types.ts";
import { countUp, pickAlongAxes } from "../kernels/rearrange.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { replaceNode } from "../kernels/replace-node.ts";
import { requireAttribute } from "../kernels/require-attribute.ts";
import { requireBody, requireOperands } from "../kernels/require-body.ts";
import { reverseScan, scanRegions } from "../kernels/scan-gradient.ts";
import { joinStack, pushOne, stackedType } from "../kernels/stacked.ts";
import type { NDArray } from "../ndarray.ts";
import { amounts, graph, int, ints } from "../params.ts";

export const Scan = defineOp({
  type: "Scan",
  versions: [8, 9, 11, 16, 19, 21, 23, 24, 25],
  inputs: ["operands..."],
  outputs: ["ys..."],
  attributes: {
    body: graph(),
    num_scan_inputs: int(0, amounts),
    scan_input_axes: ints(),
    scan_input_directions: ints(),
    scan_output_axes: ints(),
    scan_output_directions: ints(),
  },
  infer: ({ node, in: { operands }, attrs, inferBody }) => {
    const body = requireAttribute(node, "body", attrs.body);
    const states = operands.length - attrs.num_scan_inputs;
    requireStates(node, body, states);
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
    const other = scanned.findIndex((each) => each.length !== undefined && dimsDiffer(each.length, length));
    if (other >= 0)
      throw operatorErrors.E_BAD_OPERAND(
        node,
        `operands ${states + other}`,
        `${length} slices`,
        `${scanned[other]?.length}`,
      );
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
  cost: {
    flops: ({ in: { operands }, attrs: { body, num_scan_inputs, scan_input_axes }, ofBody }) => {
      const scanned = operands.at(-num_scan_inputs);
      if (body === undefined || scanned === undefined || num_scan_inputs === 0) return 0;
      return mulDims(dimOf(scanned, scan_input_axes?.[0] ?? 0), ofBody(body));
    },
  },
  gradient: { kind: "bodies", regions: scanRegions, rule: reverseScan },
  upgrades: { 9: scanBatches },
});

/** Each operand is an input of the body, each result one of its outputs, and at least one operand is scanned. */
function requireStates(node: Node, body: Graph, states: number): void {
  requireOperands(node);
  const { length } = node.inputs;
  if (states < 0 || states >= length)
    throw operatorErrors.E_BAD_ATTRIBUTE(
      node,
      "num_scan_inputs",
      `from 1 to ${length}`,
      `${length - states}`,
    );
  requireBody(node, "body", body, { inputs: length, outputs: Math.max(states, node.outputs.length) });
}

/**
 * Version 8 runs over the sequences of a batch, each from a state of its own: a Scan over the batch, in whose body a Scan
 * runs over one sequence. Sequences of lengths of their own are not rewritten.
 */
function scanBatches(node: Node, b: OpBuilder): void {
  const [lengths, ...operands] = node.inputs;
  if (lengths != null) throw new InternalError("sequences have lengths of their own (sequence_lens)");
  const attribute = node.attributes.get("body");
  const body = requireAttribute(node, "body", attribute?.kind === "graph" ? attribute.value : undefined);
  const outer = new Graph("batch");
  const slices = operands.map((operand, index) => {
    if (operand === null) throw new InternalError(`Scan lacks its operand ${index}`);
    return outer.addInput({ name: operand.name, type: sliceType(node, operand, 0).element });
  });
  const count = node.outputs.length;
  const inner = new OpBuilder({ graph: outer }, b.opset);
  const attributes = {
    body: cloneGraph(body, new Map()),
    num_scan_inputs: node.int("num_scan_inputs", 0),
    scan_input_directions: node.ints("directions", undefined),
  };
  outer.setOutputs(inner.ops("Scan", slices, attributes, count));
  replaceNode(node, b.ops("Scan", operands, { body: outer, num_scan_inputs: operands.length }, count));
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
