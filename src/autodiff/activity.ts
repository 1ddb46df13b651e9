/** Which values lie on a differentiable way from the variables: the only part that backward touches. */
import { capturesOf } from "../ir/captures.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { ValueType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { isDetached } from "../ops/detach.ts";
import { paramAt, type Region, takesGradient } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";

/**
 * Values that depend on `variables` through operators that are not constant almost everywhere. A result of unknown type
 * counts, so that it is diagnosed rather than dropped; one that is known not to be a float does not.
 */
export function activeValues(graph: Graph, variables: Iterable<Value>): Set<Value> {
  return spreadActive(graph, variables, true);
}

/**
 * The same without values that depend on the variables only where a loop does not run, so that what it carries leaves as it
 * came.
 */
export function activeThroughBodies(graph: Graph, variables: Iterable<Value>): Set<Value> {
  return spreadActive(graph, variables, false);
}

function spreadActive(graph: Graph, variables: Iterable<Value>, startsCount: boolean): Set<Value> {
  const active = new Set<Value>(variables);
  for (const node of graph.nodes()) {
    if (opOf(node)?.gradient.kind === "zero" || isDetached(node) || !readsActive(node, active)) continue;
    for (const output of activeResults(node, active, startsCount)) active.add(output);
  }
  return active;
}

/** Results of a node that depend on the active values among its operands and captures. */
function activeResults(node: Node, active: ReadonlySet<Value>, startsCount: boolean): Value[] {
  const results = node.outputs.filter((output) => output !== null);
  const regions = opOf(node)?.regions(node) ?? [];
  if (regions.length === 0) return results.filter((output) => carriesGradient(node, output));
  const reached = new Set<number>();
  for (const region of regions) {
    const inner = activeInBody(node, region, active, startsCount);
    const isActive = (value: Value | undefined): boolean => value !== undefined && inner.has(value);
    region.leaves.forEach((result, at) => {
      // A value that is carried leaves as it came where no iteration runs.
      const start = region.body.inputs[region.carries[at] ?? -1];
      if (result === undefined) return;
      if (isActive(region.body.outputs[at]) || (startsCount && isActive(start))) reached.add(result);
    });
  }
  return results.filter(({ outputIndex }) => reached.has(outputIndex));
}

/** Active values of a body, where those of the graphs around it are `active`. */
export function activeInBody(
  node: Node,
  region: Region,
  active: ReadonlySet<Value>,
  startsCount = true,
): Set<Value> {
  const { body, enters, carries } = region;
  const captured = [...capturesOf(body)].filter((value) => active.has(value));
  const inputs = body.inputs.filter((input, index) => {
    const operand = node.input(enters[index] ?? -1);
    return operand !== undefined && active.has(operand) && mayCarryGradient(input);
  });
  for (;;) {
    const values = spreadActive(body, [...captured, ...inputs], startsCount);
    const more = carries.flatMap((input, at) => {
      const [from, to] = [body.outputs[at], body.inputs[input ?? -1]];
      return from !== undefined && to !== undefined && values.has(from) && !values.has(to) ? [to] : [];
    });
    if (more.length === 0) return values;
    inputs.push(...more);
  }
}

/** Nodes of the graph whose results the `targets` are computed from. */
export function contributingNodes(graph: Graph, targets: Iterable<Value>): Set<Node> {
  const nodes = new Set<Node>();
  const pending = [...targets].flatMap((value) => value.producer ?? []);
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (nodes.has(node) || node.graph !== graph) continue;
    nodes.add(node);
    for (const value of operandsWithCaptures(node))
      if (value.producer !== undefined) pending.push(value.producer);
  }
  return nodes;
}

/** Operands that a gradient may flow into: active ones that are neither shapes, axes or sizes nor held constant. */
export function activeOperands(node: Node, active: ReadonlySet<Value>): number[] {
  const op = opOf(node);
  return node.inputs.flatMap((input, index) =>
    input !== null && active.has(input) && takesGradient(op, index) ? [index] : [],
  );
}

/**
 * The first active operand of quantised numbers from which no gradient comes: no rule of the operator reads it, or nothing that
 * the operator makes carries one.
 */
export function lostQuantized(node: Node, active: ReadonlySet<Value>): Value | undefined {
  const op = opOf(node);
  const carriesOn = node.outputs.some((output) => output !== null && active.has(output));
  const reads = carriesOn ? op?.quantized.reads : [];
  const unread = activeOperands(node, active)
    .filter((index) => !reads?.includes((op && paramAt(op.inputs, index)?.name) ?? ""))
    .map((index) => node.input(index) ?? null);
  const captured = node.subgraphs().length > 0 ? operandsWithCaptures(node) : [];
  return [...unread, ...captured]
    .filter((value) => value !== null)
    .find((value) => active.has(value) && !mayCarryGradient(value));
}

/** Whether an active value is an operand of the node, or is read by one of its bodies. */
export function readsActive(node: Node, active: ReadonlySet<Value>): boolean {
  if (activeOperands(node, active).length > 0) return true;
  return node.subgraphs().length > 0 && operandsWithCaptures(node).some((value) => active.has(value));
}

function carriesGradient(node: Node, output: Value): boolean {
  const op = opOf(node);
  const name = op === undefined ? undefined : paramAt(op.outputs, output.outputIndex)?.name;
  if (name !== undefined && op?.quantized.holds?.includes(name)) return false;
  return mayCarryGradient(output) || (name !== undefined && op?.quantized.makes?.includes(name) === true);
}

function mayCarryGradient({ type }: Value): boolean {
  return holdsFloats(type);
}

function holdsFloats(type: ValueType | undefined): boolean {
  if (type?.kind === "sequence" || type?.kind === "optional") return holdsFloats(type.element);
  return type?.kind !== "tensor" || isFloat(type.dtype);
}

/** Operands of a node and every outer value that its bodies read. */
export function operandsWithCaptures(node: Node): Value[] {
  const values = node.inputs.filter((input) => input !== null);
  for (const body of node.subgraphs()) {
    for (const inner of body.allNodes()) values.push(...inner.inputs.filter((input) => input !== null));
    values.push(...body.outputs);
  }
  return values;
}
