/** Which values share a buffer, and when buffers are given back, as ONNX Runtime plans it for one graph. */
import { readValues } from "../ir/captures.ts";
import { bitsOf } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { staticShape } from "../ir/shape.ts";
import type { Value } from "../ir/value.ts";
import { paramAt } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";

/** The plan of one graph; bodies have plans of their own. */
export interface BufferPlan {
  readonly order: readonly Node[];
  /** The value whose buffer a result lies in, itself where it has its own; absent where that belongs to somebody outside. */
  readonly owners: ReadonlyMap<Value, Value>;
  /** Owners whose buffers are given back once a node is done. */
  readonly released: ReadonlyMap<Node, readonly Value[]>;
}

/**
 * Plans the results of nodes in the order given: views and results that may overwrite an operand lie in that operand's buffer,
 * others in the buffer that became free last of those with the same shape, else in a new one; outputs of the graph always in a
 * new one (`PlannerImpl` of ONNX Runtime 1.30 for one stream).
 */
export function planBuffers(graph: Graph, order: readonly Node[]): BufferPlan {
  const outputs = new Set(graph.outputs);
  const reads = countReads(order, outputs);
  const owners = new Map<Value, Value>();
  const left = new Map<Value, number>();
  const last = new Map<Value, Node>();
  const free: Value[] = [];
  const unknown = unknownShapes(order);
  const alike = (a: Value, b: Value): boolean => !unknown.has(a) && !unknown.has(b) && sameSize(a, b);
  for (const node of order) {
    for (const result of node.outputs) {
      if (result === null) continue;
      const shared = outputs.has(result) ? undefined : reusedOperand(node, result, owners, left, alike);
      if (shared === "outside") continue;
      const owner = shared ?? (outputs.has(result) ? result : (takeFree(free, result, alike) ?? result));
      owners.set(result, owner);
      left.set(owner, (left.get(owner) ?? 0) + (reads.get(result) ?? 0));
      last.set(owner, node);
    }
    const giveBack = (value: Value, reads: number): void => {
      const owner = owners.get(value);
      if (owner === undefined) return;
      last.set(owner, node);
      left.set(owner, (left.get(owner) ?? 0) - reads);
      if (left.get(owner) === 0 && !outputs.has(owner) && !free.includes(owner)) free.unshift(owner);
    };
    for (const value of readValues(node)) giveBack(value, 1);
    for (const result of node.outputs) if (result !== null) giveBack(result, 0);
  }
  return { order, owners, released: releases(last, outputs) };
}

/** How often each value is read, a graph's output once more. */
function countReads(order: readonly Node[], outputs: ReadonlySet<Value>): Map<Value, number> {
  const reads = new Map<Value, number>();
  const count = (value: Value): void => {
    reads.set(value, (reads.get(value) ?? 0) + 1);
  };
  for (const node of order) for (const value of readValues(node)) count(value);
  outputs.forEach(count);
  return reads;
}

/** The owner of the operand in whose buffer a result comes to lie; "outside" where that buffer is not this graph's. */
function reusedOperand(
  node: Node,
  result: Value,
  owners: ReadonlyMap<Value, Value>,
  left: ReadonlyMap<Value, number>,
  alike: (a: Value, b: Value) => boolean,
): Value | "outside" | undefined {
  const cost = opOf(node)?.cost;
  if (cost === undefined || result.outputIndex !== 0) return undefined;
  const viewed = cost.view === undefined ? undefined : node.input(cost.view);
  if (viewed !== undefined) return owners.get(viewed) ?? "outside";
  const operand = cost.overwrites === undefined ? undefined : node.input(cost.overwrites);
  const owner = operand === undefined ? undefined : owners.get(operand);
  if (operand === undefined || owner === undefined || left.get(owner) !== 1) return undefined;
  return alike(operand, result) ? owner : undefined;
}

function takeFree(free: Value[], result: Value, alike: (a: Value, b: Value) => boolean): Value | undefined {
  const rank = result.tensorType?.shape?.length ?? 0;
  const at = rank === 0 ? -1 : free.findIndex((owner) => alike(owner, result));
  return at < 0 ? undefined : free.splice(at, 1)[0];
}

function releases(last: ReadonlyMap<Value, Node>, outputs: ReadonlySet<Value>): Map<Node, Value[]> {
  const released = new Map<Node, Value[]>();
  for (const [owner, node] of last) {
    if (outputs.has(owner)) continue;
    const list = released.get(node) ?? [];
    list.push(owner);
    released.set(node, list);
  }
  return released;
}

/** Whether two values have the same shape and elements of the same width. */
function sameSize(left: Value, right: Value): boolean {
  const [a, b] = [left.tensorType, right.tensorType];
  if (a === undefined || b === undefined || bitsOf(a.dtype) !== bitsOf(b.dtype)) return false;
  const [from, to] = [staticShape(a.shape), staticShape(b.shape)];
  return from !== undefined && to !== undefined && from.join() === to.join();
}

/**
 * Results whose shape the runtime does not know when it plans: those that a shape, size or place computed at run time says, and
 * all that is computed from them. It compares names of axes only, so it takes such results for as large as nothing else.
 */
function unknownShapes(order: readonly Node[]): Set<Value> {
  const unknown = new Set<Value>();
  for (const node of order) {
    const op = opOf(node);
    const isUnknown = node.inputs.some((input, index) => {
      if (input === null) return false;
      const isHost = op?.hostInputs.has(paramAt(op.inputs, index)?.name ?? "") === true;
      return isHost ? input.producer !== undefined : unknown.has(input);
    });
    if (isUnknown) for (const output of node.outputs) if (output !== null) unknown.add(output);
  }
  return unknown;
}
