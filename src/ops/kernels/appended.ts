/** Sequences that a Loop fills: their gradient is not carried, but read like a stack. */
import type { Graph } from "../../ir/graph.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import type { BodiesContext, RegionFlow } from "../record.ts";
import { mapSequence } from "./map-sequence.ts";
import { isEmptySequence } from "./sequence-types.ts";

/** A sequence that each iteration adds one tensor to at its end, and that the body does nothing else with. */
export interface Appended {
  /** Position of the operand. */
  readonly input: number;
  /** What the body adds. */
  readonly added: Value;
  /** Gradient of the whole sequence after the last iteration. */
  readonly gradient: Value;
  /** Number of tensors before the first iteration; undefined for none. */
  readonly offset: Value | undefined;
}

/** Takes such sequences out of the carried values of a flow. */
export function splitAppended(
  { node, grads, b }: BodiesContext,
  flow: RegionFlow,
): { readonly flow: RegionFlow; readonly appended: readonly Appended[] } {
  const { body, leaves } = flow.region;
  const appended: Appended[] = [];
  const carried = flow.carried.filter((pair) => {
    const added = addedTo(body, pair);
    const gradient = grads[leaves[pair.output] ?? -1];
    const start = node.input(pair.input);
    if (added === undefined || gradient === undefined || start === undefined) return true;
    const offset = isEmptySequence(start) ? undefined : b.op("SequenceLength", [start]);
    appended.push({ input: pair.input, added, gradient, offset });
    return false;
  });
  return { flow: { ...flow, carried }, appended };
}

/** The gradient of what one iteration adds, in a body that knows the number of that iteration. */
export function readAppended({ gradient, offset }: Appended, inside: OpBuilder, iteration: Value): Value {
  const position = offset === undefined ? iteration : inside.add(iteration, offset);
  return inside.op("SequenceAt", [gradient, position]);
}

/** The gradient of what the sequence holds at first; undefined where that is nothing. */
export function gradientOfStart(
  { gradient, offset }: Appended,
  start: Value,
  b: OpBuilder,
): Value | undefined {
  if (offset === undefined) return undefined;
  return mapSequence(b, start, (inner, _, index) => inner.op("SequenceAt", [gradient, index]));
}

function addedTo(body: Graph, pair: { readonly input: number; readonly output: number }): Value | undefined {
  const [before, after] = [body.inputs[pair.input], body.outputs[pair.output]];
  const insert = after?.producer;
  if (insert?.op !== "SequenceInsert" || insert.domain !== "" || insert.graph !== body) return undefined;
  if (insert.input(0) !== before || insert.input(2) !== undefined) return undefined;
  // Nothing else in the body may read the sequence, neither before nor after.
  return before?.uses.size === 1 && after?.uses.size === 1 ? insert.input(1) : undefined;
}
