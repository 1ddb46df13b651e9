/** Values that repeat themselves along an axis, made once. */
import { constantOf, smallIntegers } from "../ir/constant.ts";
import type { Node } from "../ir/node.ts";
import { takeOnce } from "../ir/repeated.ts";
import { normalizeAxis } from "../ir/shape.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { broadcastParts } from "../ops/kernels/parts.ts";
import { opOf } from "../ops/registry.ts";

/**
 * The value with size 1 along an axis along which it is the same everywhere, for readers that broadcast: a constant that repeats
 * itself, what an Expand has stretched, rows of a table at such indices. Undefined where that is not seen.
 */
export function repeatedOnce(value: Value, axis: number, opset: number, reader: Node): Value | undefined {
  const tensor = constantOf(value);
  const { graph } = reader;
  if (graph === undefined) return undefined;
  if (tensor !== undefined) {
    const once = takeOnce(tensor, axis);
    return once && new OpBuilder({ graph, before: reader }, opset).constant(once, value.name);
  }
  const { producer } = value;
  if (producer?.graph !== graph) return undefined;
  const b = new OpBuilder({ graph, before: producer }, opset);
  b.source = producer;
  if (producer.op === "Expand") return expandedOnce(producer, axis, b);
  if (producer.op === "Gather") return gatheredOnce(producer, axis, b, opset);
  return broadcastParts.has(opOf(producer)?.parts) ? computedOnce(producer, axis, b, opset) : undefined;
}

function expandedOnce(node: Node, axis: number, b: OpBuilder): Value | undefined {
  const x = node.input(0);
  const [from, to] = [x?.tensorType?.shape, node.output(0).tensorType?.shape];
  const target = smallIntegers(constantOf(node.input(1)));
  if (x === undefined || from === undefined || to === undefined || target?.length !== to.length)
    return undefined;
  const own = axis - to.length + from.length;
  if (own >= 0 && from[own] !== 1) return undefined;
  return b.expand(x, b.ints(target.with(axis, 1)));
}

/** An element-wise node again, of operands that are each taken once. */
function computedOnce(node: Node, axis: number, b: OpBuilder, opset: number): Value | undefined {
  const rank = node.output(0).tensorType?.shape?.length;
  const inputs: (Value | null)[] = [];
  for (const input of node.inputs) {
    const shape = input?.tensorType?.shape;
    if (input === null || shape === undefined || rank === undefined) return undefined;
    const own = axis - rank + shape.length;
    const once = own < 0 || shape[own] === 1 ? input : repeatedOnce(input, own, opset, node);
    if (once === undefined) return undefined;
    inputs.push(once);
  }
  return b.op(node.op, inputs, Object.fromEntries(node.attributes), { domain: node.domain });
}

function gatheredOnce(node: Node, axis: number, b: OpBuilder, opset: number): Value | undefined {
  const [x, indices] = [node.input(0), node.input(1)];
  const [rank, ofIndices] = [x?.tensorType?.shape?.length, indices?.tensorType?.shape?.length];
  if (x === undefined || indices === undefined || rank === undefined || ofIndices === undefined)
    return undefined;
  const along = normalizeAxis(node.int("axis", 0), rank);
  if (along === undefined || axis < along || axis >= along + ofIndices) return undefined;
  const once = repeatedOnce(indices, axis - along, opset, node);
  return once && b.gather(x, once, along);
}
