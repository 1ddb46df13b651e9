/** Loop backwards: a Loop over the same iterations, counted down, that reads what the forward one saves. */
import { InternalError } from "../../diagnostics/define.ts";
import { operatorErrors } from "../../diagnostics/operator.ts";
import { capturesOf } from "../../ir/captures.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../builder.ts";
import type { BodiesContext, BodiesGradient, Region } from "../record.ts";
import { isDeterministic } from "../traits.ts";
import { gradientOfStart, readAppended, splitAppended } from "./appended.ts";
import { zeroCotangent } from "./cotangent.ts";
import { LoopSaver } from "./loop-saver.ts";
import { requireAttribute } from "./require-attribute.ts";
import {
  carrySums,
  haveOneShape,
  orderInputs,
  reverseBody,
  saveValues,
  yieldValues,
} from "./reverse-body.ts";

/** Inputs of a body before those that are carried: the iteration and the condition. */
const leading = 2;

/** The body of a Loop: what follows iteration and condition is carried, what its outputs then hold is stacked. */
export function loopRegions(node: Node): Region[] {
  const attribute = node.attributes.get("body");
  const body = requireAttribute(node, "body", attribute?.kind === "graph" ? attribute.value : undefined);
  const states = body.inputs.length - leading;
  return [
    {
      body,
      enters: body.inputs.map((_, at) => (at < leading ? undefined : at)),
      carries: body.outputs.map((_, at) => (at === 0 || at > states ? undefined : at + 1)),
      leaves: body.outputs.map((_, at) => (at === 0 ? undefined : at - 1)),
    },
  ];
}

/**
 * The gradient of a Loop, however often it runs. States before each iteration are saved by the forward node, stacked where
 * their shape stays the same and else in a sequence; what else the backward body reads it computes anew, but for products
 * and draws, which are saved like states. Gradients of captured values are carried.
 */
export function reverseLoop(context: BodiesContext): BodiesGradient {
  const { node, grads, b } = context;
  const [whole] = context.flows;
  if (whole === undefined) throw new InternalError("a Loop has one body");
  const { flow, appended } = splitAppended(context, whole);
  const { body, leaves } = flow.region;
  const gradOf = (output: number): Value | undefined => grads[leaves[output] ?? -1];
  const stacked = flow.stacked.map(gradOf);
  const initial = flow.carried.map(({ input, output }) => {
    const [start, state] = [node.input(input), body.inputs[input]];
    const end = (): Value =>
      start !== undefined && state !== undefined && haveOneShape(start, state)
        ? start
        : node.requireOutput(leaves[output] ?? -1, { type: body.outputs[output]?.type });
    return gradOf(output) ?? zeroCotangent(b, end());
  });
  const fixed = body.inputs.filter((state, at) => {
    const start = at < leading ? undefined : node.input(at);
    return start !== undefined && haveOneShape(start, state);
  });

  const reversed = reverseBody(
    context,
    flow,
    appended.map(({ added }) => added),
  );
  const { graph, carried, inputs } = reversed;
  const captures = carrySums(reversed, b.opset);
  const go = graph.addInput({ name: "go", type: tensorType("bool", []) });
  yieldValues(
    graph,
    [go, ...carried.map(({ before }) => before), ...captures.map(({ after }) => after)],
    b.opset,
  );
  const saver = new LoopSaver(node, body, b, [...fixed, ...capturesOf(body)]);
  const saved = saveValues(
    node,
    body,
    reversed,
    (value) => saver.isFixed(value) || (value.producer !== undefined && !isDeterministic(value.producer)),
  );
  const states = [...body.inputs].flatMap((forward, at) => {
    const input = inputs[at];
    if (at < leading || input?.isUsed !== true) return [];
    if (forward.tensorType === undefined) throw operatorErrors.E_SEQUENCE_STATE(node, forward.name);
    return [{ forward, input }];
  });
  const readers = [...states, ...saved].map(({ forward, input }) => ({ input, read: saver.save(forward) }));
  const count = saver.count();

  const last = b.sub(count, 1);
  const step = graph.addInput({ name: "step", type: tensorType("int64", []) });
  const inside = new OpBuilder({ graph, before: graph.first }, b.opset);
  const iteration = inside.sub(last, step);
  inputs[0]?.replaceUses(iteration);
  // An iteration that ran began with a condition that held.
  inputs[1]?.replaceUses(go);
  for (const { input, read } of readers) if (input.isUsed) input.replaceUses(read(inside, iteration));
  reversed.stacked.forEach((slice, at) => {
    const stack = stacked[at];
    if (stack === undefined) throw new InternalError("a gradient of a Loop is missing");
    if (slice.isUsed) slice.replaceUses(inside.gather(stack, iteration, 0));
  });
  reversed.inner.forEach((cotangent, at) => {
    const sequence = appended[at];
    if (sequence !== undefined && cotangent.isUsed)
      cotangent.replaceUses(readAppended(sequence, inside, iteration));
  });
  orderInputs(graph, [
    step,
    go,
    ...carried.map(({ after }) => after),
    ...captures.map(({ before }) => before),
  ]);

  const starts = [...initial, ...captures.map(({ captured }) => zeroCotangent(b, captured))];
  const results = b.ops("Loop", [count, null, ...starts], { body: graph }, starts.length);
  const [operands, sums] = [new Map<number, Value>(), new Map<Value, Value>()];
  flow.carried.forEach(({ input }, at) => {
    const result = results[at];
    if (result !== undefined) operands.set(input, result);
  });
  for (const sequence of appended) {
    const start = node.input(sequence.input);
    const gradient = start && gradientOfStart(sequence, start, b);
    if (gradient !== undefined) operands.set(sequence.input, gradient);
  }
  captures.forEach(({ captured }, at) => {
    const result = results[carried.length + at];
    if (result !== undefined) sums.set(captured, result);
  });
  return { operands, captures: sums };
}
