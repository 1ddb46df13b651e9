/** Which values lie on a differentiable way from the variables: the only part that backward touches. */
import { isFloat } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { isDetached } from "../ops/detach.ts";
import { paramAt } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";

/**
 * Values that depend on `variables` through operators that are not constant almost everywhere. A result of unknown type
 * counts, so that it is diagnosed rather than dropped; one that is known not to be a float does not.
 */
export function activeValues(graph: Graph, variables: Iterable<Value>): Set<Value> {
  const active = new Set<Value>(variables);
  for (const node of graph.nodes()) {
    if (opOf(node)?.gradient.kind === "zero" || isDetached(node) || !readsActive(node, active)) continue;
    node.outputs.forEach((output, index) => {
      if (output !== null && carriesGradient(node, output, index)) active.add(output);
    });
  }
  return active;
}

/** Nodes whose results the `targets` are computed from. */
export function contributingNodes(targets: Iterable<Value>): Set<Node> {
  const nodes = new Set<Node>();
  const pending = [...targets].flatMap((value) => value.producer ?? []);
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    if (nodes.has(node)) continue;
    nodes.add(node);
    for (const value of operandsWithCaptures(node))
      if (value.producer !== undefined) pending.push(value.producer);
  }
  return nodes;
}

/** Operands that a gradient may flow into: active ones that are not shapes, axes or sizes. */
export function activeOperands(node: Node, active: ReadonlySet<Value>): number[] {
  const op = opOf(node);
  return node.inputs.flatMap((input, index) => {
    if (input === null || !active.has(input)) return [];
    const name = op === undefined ? undefined : paramAt(op.inputs, index)?.name;
    return name !== undefined && op?.hostInputs.has(name) ? [] : [index];
  });
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

function carriesGradient(node: Node, output: Value, index: number): boolean {
  const op = opOf(node);
  const name = op === undefined ? undefined : paramAt(op.outputs, index)?.name;
  if (name !== undefined && op?.quantized.holds?.includes(name)) return false;
  return mayCarryGradient(output) || (name !== undefined && op?.quantized.makes?.includes(name) === true);
}

function mayCarryGradient(value: Value): boolean {
  return value.type === undefined || value.type.kind !== "tensor" || isFloat(value.type.dtype);
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
