/** Scan backwards: a Scan in the other direction over the states that the forward one saves. */
import { InternalError } from "../../diagnostics/define.ts";
import { capturesOf } from "../../ir/captures.ts";
import { type Dim, unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../builder.ts";
import type { BodiesContext, BodiesGradient, Region } from "../record.ts";
import { zeroCotangent } from "./cotangent.ts";
import { axisOf } from "./reduction-axes.ts";
import { requireAttribute } from "./require-attribute.ts";
import {
  carrySums,
  hasFixedShape,
  orderInputs,
  reverseBody,
  saveValues,
  yieldValues,
} from "./reverse-body.ts";

/** What a scan goes over: axis and direction of each operand or result. */
interface Scanned {
  readonly axis: number;
  readonly backwards: boolean;
}

/** A stack that the backward scan reads, beside the input of its body that holds a slice. */
interface Stack extends Scanned {
  readonly stack: Value;
  readonly slice: Value;
}

/** The body of a Scan: states go from one iteration to the next, the other inputs are slices. */
export function scanRegions(node: Node): Region[] {
  const attribute = node.attributes.get("body");
  const body = requireAttribute(node, "body", attribute?.kind === "graph" ? attribute.value : undefined);
  const states = stateCount(node);
  const carries = body.outputs.map((_, at) => (at < states ? at : undefined));
  return [{ body, enters: [...body.inputs.keys()], carries, leaves: [...body.outputs.keys()] }];
}

/**
 * The gradient of a Scan. States before each iteration are stacked by the forward node; everything else that the
 * backward body reads it computes anew. Gradients of captured values are states of the backward Scan. The runtime's Scan
 * refuses axes of size 0, so no iteration at all is no case.
 */
export function reverseScan(context: BodiesContext): BodiesGradient {
  const { node, grads, b } = context;
  const [flow] = context.flows;
  if (flow === undefined) throw new InternalError("a Scan has one body");
  const { region } = flow;
  const states = stateCount(node);
  const reversed = reverseBody(context, flow);
  const { graph, carried } = reversed;
  const captures = carrySums(reversed, b.opset);
  const slices = flow.slices.flatMap((input, i) => {
    const gradient = reversed.slices[i];
    return gradient === undefined ? [] : [{ input, gradient }];
  });
  yieldValues(
    graph,
    [
      ...carried.map(({ before }) => before),
      ...captures.map(({ after }) => after),
      ...slices.map(({ gradient }) => gradient),
    ],
    b.opset,
  );
  const outside = [...region.body.inputs, ...capturesOf(region.body)];
  const saved = saveValues(node, region.body, reversed, (value) => hasFixedShape(value, outside));

  const stacks = reversed.inputs.flatMap((slice, input): Stack[] => {
    // Without any stack a Scan would not know its length.
    const isOnly =
      input === states && flow.stacked.length === 0 && !reversed.inputs.some((each) => each.isUsed);
    if (!slice.isUsed && !isOnly) return [];
    const state = region.body.inputs[input];
    if (input < states && state !== undefined)
      return [{ slice, stack: saveStack(node, region, state, b), axis: 0, backwards: true }];
    const { axis, backwards } = scannedBy(node, "input", input - states);
    return [{ slice, stack: operandAt(node, input), axis, backwards: !backwards }];
  });
  for (const { forward, input } of saved)
    stacks.push({ slice: input, stack: saveStack(node, region, forward, b), axis: 0, backwards: true });
  flow.stacked.forEach((output, i) => {
    const [stack, slice] = [grads[output], reversed.stacked[i]];
    if (stack === undefined || slice === undefined)
      throw new InternalError("a gradient of a Scan is missing");
    const { axis, backwards } = scannedBy(node, "output", output - states);
    stacks.push({ slice, stack, axis, backwards: !backwards });
  });
  orderInputs(graph, [
    ...carried.map(({ after }) => after),
    ...captures.map(({ before }) => before),
    ...stacks.map(({ slice }) => slice),
  ]);
  const initial = flow.carried.map(
    ({ input, output }) => grads[output] ?? zeroCotangent(b, operandAt(node, input)),
  );
  const results = b.ops(
    "Scan",
    [
      ...initial,
      ...captures.map(({ captured }) => zeroCotangent(b, captured)),
      ...stacks.map(({ stack }) => stack),
    ],
    {
      body: graph,
      num_scan_inputs: stacks.length,
      scan_input_axes: stacks.map(({ axis }) => axis),
      scan_input_directions: stacks.map(({ backwards }) => (backwards ? 1 : 0)),
      scan_output_axes: slices.map(({ input }) => scannedBy(node, "input", input - states).axis),
      scan_output_directions: slices.map(({ input }) =>
        scannedBy(node, "input", input - states).backwards ? 0 : 1,
      ),
    },
    graph.outputs.length,
  );
  const from = (start: number, count: number): Value[] => results.slice(start, start + count);
  const sums = from(carried.length, captures.length);
  const scanned = from(carried.length + captures.length, slices.length);
  return {
    operands: new Map([
      ...flow.carried.flatMap(({ input }, i) => pair(input, results[i])),
      ...slices.flatMap(({ input }, i) => pair(input, scanned[i])),
    ]),
    captures: new Map(captures.flatMap(({ captured }, i) => pair(captured, sums[i]))),
  };
}

function pair<K>(key: K, value: Value | undefined): (readonly [K, Value])[] {
  return value === undefined ? [] : [[key, value]];
}

/** Lets the forward node yield a value of its body in each iteration, stacked on a new first axis. */
function saveStack(node: Node, { body }: Region, value: Value, b: OpBuilder): Value {
  const type = value.tensorType;
  if (type === undefined) throw new InternalError(`"${value.name}" cannot be stacked`);
  body.addOutput(new OpBuilder({ graph: body }, b.opset).op("Identity", [value]));
  for (const name of ["scan_output_axes", "scan_output_directions"]) {
    const known = node.ints(name, undefined);
    if (known !== undefined) node.attributes.set(name, { kind: "ints", value: [...known, 0] });
  }
  const shape = type.shape && [lengthOf(node), ...type.shape];
  return node.addOutput({ name: `${value.name}.stack`, type: tensorType(type.dtype, shape) });
}

/** The number of iterations. */
function lengthOf(node: Node): Dim {
  const operand = operandAt(node, stateCount(node));
  const shape = operand.tensorType?.shape;
  const axis = shape && axisOf(node, scannedBy(node, "input", 0).axis, shape.length);
  return shape?.[axis ?? 0] ?? unknownDim();
}

function scannedBy(node: Node, end: "input" | "output", index: number): Scanned {
  return {
    axis: node.ints(`scan_${end}_axes`, undefined)?.[index] ?? 0,
    backwards: node.ints(`scan_${end}_directions`, undefined)?.[index] === 1,
  };
}

function stateCount(node: Node): number {
  return node.inputs.length - node.int("num_scan_inputs", 0);
}

function operandAt(node: Node, index: number): Value {
  const operand = node.input(index);
  if (operand === undefined) throw new InternalError(`a Scan has no operand ${index}`);
  return operand;
}
