/** A body run backwards: a copy that computes anew what it needs, with its backward graph appended. */
import { InternalError } from "../../diagnostics/define.ts";
import { operatorErrors } from "../../diagnostics/operator.ts";
import { cloneGraph, type ValueMap } from "../../ir/clone.ts";
import { symbolsOf } from "../../ir/dim.ts";
import type { Graph } from "../../ir/graph.ts";
import type { Node } from "../../ir/node.ts";
import { shapesEqual } from "../../ir/shape.ts";
import { sweepGraph } from "../../ir/sweep.ts";
import type { Value } from "../../ir/value.ts";
import { OpBuilder } from "../builder.ts";
import type { BodiesContext, RegionFlow } from "../record.ts";
import { opOf } from "../registry.ts";
import { isDeterministic } from "../traits.ts";
import { addCotangents, cotangentType, zeroCotangent } from "./cotangent.ts";

/** The gradient of a captured value by one run of the body. */
interface CapturePart {
  readonly captured: Value;
  readonly part: Value;
}

/** The gradient of a captured value by all iterations so far: without this one, and with it. */
export interface CaptureSum {
  readonly captured: Value;
  readonly before: Value;
  readonly after: Value;
}

/** A value that the forward body yields besides, so that the copy reads it from an input instead of computing it anew. */
export interface SavedValue {
  readonly forward: Value;
  readonly input: Value;
}

/** The copy, whose outputs the caller chooses. Lists are in the order of those of the flow. */
export interface ReversedBody {
  readonly graph: Graph;
  /** Copies of the values of the body. */
  readonly copies: ValueMap;
  /** Copies of the inputs of the body. */
  readonly inputs: readonly Value[];
  /** Cotangents after and before the iteration of each carried value. */
  readonly carried: readonly { readonly after: Value; readonly before: Value }[];
  /** Cotangent of each stacked output in this iteration. */
  readonly stacked: readonly Value[];
  /** Cotangents of the further values that were named. */
  readonly inner: readonly Value[];
  /** Cotangent of each slice; undefined where nothing depends on it. */
  readonly slices: readonly (Value | undefined)[];
  readonly captures: readonly CapturePart[];
}

/** Copies the body of a flow and differentiates the copy. Gradients may flow into further values of the body than its outputs. */
export function reverseBody(
  { b, differentiate }: BodiesContext,
  flow: RegionFlow,
  further: readonly Value[] = [],
): ReversedBody {
  const copies: ValueMap = new Map();
  const graph = cloneGraph(flow.region.body, copies);
  const inputs = [...graph.inputs];
  const outputs = [...graph.outputs];
  const cotangentOf = (value: Value): Value =>
    graph.addInput({ name: `grad.${value.name}`, type: cotangentType(value.type) });
  const after = flow.carried.map(({ output }) => cotangentOf(at(outputs, output)));
  const stacked = flow.stacked.map((output) => cotangentOf(at(outputs, output)));
  const targets = further.map((value) => copies.get(value) ?? value);
  const into = targets.map(cotangentOf);
  const found = differentiate(
    graph,
    [
      ...targets.map((value, i) => ({ value, gradient: at(into, i) })),
      ...flow.carried.map(({ output }, i) => ({ value: at(outputs, output), gradient: at(after, i) })),
      ...flow.stacked.map((output, i) => ({ value: at(outputs, output), gradient: at(stacked, i) })),
    ],
    [
      ...flow.carried.map(({ input }) => at(inputs, input)),
      ...flow.slices.map((input) => at(inputs, input)),
      ...flow.captures,
    ],
  );
  const inner = new OpBuilder({ graph }, b.opset);
  const slicesFrom = flow.carried.length;
  const capturesFrom = slicesFrom + flow.slices.length;
  return {
    graph,
    copies,
    inputs,
    carried: after.map((value, i) => {
      const state = at(inputs, flow.carried[i]?.input ?? -1);
      return {
        after: value,
        before: found[i] ?? zeroCotangent(inner, haveOneShape(value, state) ? value : state),
      };
    }),
    stacked,
    inner: into,
    slices: found.slice(slicesFrom, capturesFrom),
    captures: flow.captures.flatMap((captured, i) => {
      const part = found[capturesFrom + i];
      return part === undefined ? [] : [{ captured, part }];
    }),
  };
}

/** Lets a body carry the sums of the gradients of captured values; the sum before an iteration is a new input. */
export function carrySums({ graph, captures }: ReversedBody, opset: number): CaptureSum[] {
  const inner = new OpBuilder({ graph }, opset);
  return captures.map(({ captured, part }) => {
    const before = graph.addInput({ name: `grad.${captured.name}`, type: cotangentType(captured.type) });
    return { captured, before, after: addCotangents(inner, before, part) };
  });
}

/** Whether two tensors are known to have the same shape. */
export function haveOneShape(left: Value, right: Value): boolean {
  const [one, other] = [left.tensorType?.shape, right.tensorType?.shape];
  return one !== undefined && other !== undefined && shapesEqual(one, other);
}

/** Whether a value of a body has the same shape in every run of it: one made of sizes that are known around it. */
export function hasFixedShape(value: Value, outside: Iterable<Value>): boolean {
  const shape = value.tensorType?.shape;
  if (shape === undefined) return false;
  const known = new Set<string>();
  for (const { tensorType } of outside)
    for (const dim of tensorType?.shape ?? []) for (const name of symbolsOf(dim)) known.add(name);
  return shape.every((dim) => [...symbolsOf(dim)].every((name) => known.has(name)));
}

/** Lets a body yield values, each under a name of its own, and drops what it then does not need. */
export function yieldValues(graph: Graph, values: readonly Value[], opset: number): void {
  const inner = new OpBuilder({ graph }, opset);
  const seen = new Set<Value>();
  graph.setOutputs(
    values.map((value) => {
      const own = value.producer?.graph === graph && !seen.has(value);
      seen.add(value);
      return own ? value : inner.op("Identity", [value]);
    }),
  );
  sweepGraph(graph);
}

/**
 * Lets the copy of a body read what is dear to compute anew, or cannot be, from new inputs: products and random draws. Last
 * ones first, since what they are made of may then not be needed any more. To be called once outputs are chosen.
 *
 * @param maySave whether the forward node is able to hand over a value.
 * @throws DiagnosticError E_RANDOM_BODY for a draw that would be made again.
 */
export function saveValues(
  node: Node,
  body: Graph,
  { graph, copies }: ReversedBody,
  maySave: (value: Value) => boolean,
): SavedValue[] {
  const saved: SavedValue[] = [];
  for (const forward of body.reversed()) {
    if (isDeterministic(forward) && opOf(forward)?.precision !== "low") continue;
    const used = forward.outputs.filter((output) => output !== null && copies.get(output)?.isUsed === true);
    for (const output of used) {
      const copy = output === null ? undefined : copies.get(output);
      if (output === null || copy === undefined || !maySave(output)) continue;
      const input = graph.addInput({ name: output.name, type: copy.type, content: copy.content });
      copy.replaceUses(input);
      saved.push({ forward: output, input });
    }
    if (used.length > 0) sweepGraph(graph);
  }
  for (const again of graph.nodes())
    if (!isDeterministic(again)) throw operatorErrors.E_RANDOM_BODY(node, again);
  return saved.reverse();
}

/** Gives the inputs of a body their order; those that are left out must not be read. */
export function orderInputs(graph: Graph, inputs: readonly Value[]): void {
  for (const input of [...graph.inputs]) if (!inputs.includes(input)) graph.removeInput(input);
  graph.inputs.splice(0, graph.inputs.length, ...inputs);
}

function at(values: readonly Value[], index: number): Value {
  const value = values[index];
  if (value === undefined) throw new InternalError(`a body has no value ${index}`);
  return value;
}
