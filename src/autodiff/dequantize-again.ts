/** Lets backward dequantise frozen weights again, so that no wide copy of a weight is kept from forward to backward. */
import { InternalError } from "../diagnostics/define.ts";
import { constantOf } from "../ir/constant.ts";
import type { Graph } from "../ir/graph.ts";
import { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";
import { inferNode } from "../ops/infer.ts";

/**
 * Gives backward nodes that read a dequantised weight a DequantizeLinear of their own, and copies of the nodes that only move its
 * elements. The runtime and we merge nodes that are spelled alike, so the copy spells its axis the other way.
 *
 * @param last the last node of forward; those behind it are backward.
 */
export function dequantizeAgain(graph: Graph, last: Node | undefined, opset: number): void {
  const copies = new Map<Value, Value>();
  const backward = new Set<Node>();
  for (let node = last?.next; node !== undefined; node = node.next) {
    backward.add(node);
    for (const [index, input] of node.inputs.entries()) {
      const weight = input === null ? undefined : dequantizedWeight(input);
      if (weight === undefined || input === null || weight.some((each) => backward.has(each))) continue;
      const again = copies.get(input) ?? copyBefore(graph, node, weight, opset);
      copies.set(input, again);
      node.setInput(index, again);
    }
  }
}

/** The nodes from the numbers of a file to a weight in floats; undefined for everything else. */
function dequantizedWeight(value: Value): readonly Node[] | undefined {
  const chain: Node[] = [];
  let node = value.producer;
  while (node !== undefined && (node.op === "Transpose" || node.op === "Reshape" || node.op === "Identity")) {
    if (node.inputs.slice(1).some((operand) => operand !== null && constantOf(operand) === undefined))
      return undefined;
    chain.unshift(node);
    node = node.input(0)?.producer;
  }
  if (node?.op !== "DequantizeLinear") return undefined;
  const constants = node.inputs.every((operand) => operand === null || constantOf(operand) !== undefined);
  return constants && (node.output().tensorType?.shape?.length ?? 0) > 1 ? [node, ...chain] : undefined;
}

function copyBefore(graph: Graph, before: Node, chain: readonly Node[], opset: number): Value {
  let current: Value | undefined;
  for (const node of chain) {
    const attributes = Object.fromEntries(node.attributes);
    const copy = new Node({
      op: node.op,
      domain: node.domain,
      name: node.name,
      inputs: node.inputs.map((operand, index) => (index === 0 && current !== undefined ? current : operand)),
      attributes: current === undefined ? { ...attributes, axis: otherSpelling(node) } : attributes,
    });
    graph.insert(copy, before);
    inferNode(copy, opset);
    current = copy.output();
  }
  if (current === undefined) throw new InternalError("a weight without nodes");
  return current;
}

/** The same axis counted from the other end; one scale for all has no axis, so that any other says the same. */
function otherSpelling(node: Node): number {
  const axis = node.int("axis", 1);
  const rank = node.input(0)?.tensorType?.shape?.length ?? 0;
  const scale = constantOf(node.input(1));
  if (scale?.size === 1 && scale.dims.length < 2) return axis === 0 ? 1 : 0;
  return axis < 0 ? axis + rank : axis - rank;
}
