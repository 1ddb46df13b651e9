/** Sinks selections: where only some indices of an axis are read, only those are computed, as far up as operators allow. */
import { constantOf, smallIntegers } from "../ir/constant.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { replaceValue } from "../ir/replace.ts";
import { normalizeAxis } from "../ir/shape.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { opOf } from "../ops/registry.ts";
import { isDeterministic } from "../ops/traits.ts";
import { removeDead } from "./dead.ts";

/** Indices of an axis that are read, from the end where negative. */
interface Selection {
  readonly axis: number;
  readonly indices: readonly number[];
}

/** More indices than this are taken for most of an axis. */
const fewest = 16;

/**
 * Works from the outputs up. A value of which all readers select the same indices of the same axis is made from parts of
 * its operands, where its operator has a rule for that; the operands are then looked at in their turn.
 *
 * @returns how many nodes now compute a part of what they did.
 */
export function sinkSelections(graph: Graph, opset: number): number {
  const selectors = new Map<Value, Map<string, Value>>();
  let sunk = 0;
  for (const node of [...graph.nodes()].reverse()) if (sinkInto(node, opset, selectors)) sunk += 1;
  return sunk;
}

function sinkInto(node: Node, opset: number, selectors: Map<Value, Map<string, Value>>): boolean {
  const { graph } = node;
  const rule = opOf(node)?.select;
  const found = rule === undefined || !isDeterministic(node) ? undefined : commonSelection(node);
  if (graph === undefined || rule === undefined || found === undefined) return false;
  const { axis, indices } = found;
  const b = new OpBuilder({ graph, before: node }, opset);
  b.source = node;
  const take = (index: number, along: number): Value => {
    const input = node.input(index) ?? node.output(0);
    const known = selectors.get(input) ?? new Map<string, Value>();
    const key = `${along}:${indices.join()}`;
    const part = known.get(key) ?? selectFrom(input, along, indices, opset, node);
    selectors.set(input, known.set(key, part));
    return part;
  };
  const part = rule({ node, axis, count: indices.length, take, b });
  if (part === undefined) return false;
  for (const reader of readersOf(node.output(0)) ?? []) {
    replaceValue(reader.output(0), dropsAxis(reader) ? b.squeeze(part, [axis]) : part);
    removeDead(reader);
  }
  return true;
}

/** Selects where the value comes to be, so that all its readers may share the selection. */
function selectFrom(
  input: Value,
  axis: number,
  indices: readonly number[],
  opset: number,
  reader: Node,
): Value {
  const { producer } = input;
  const here = producer?.graph === reader.graph ? producer : undefined;
  const graph = reader.graph ?? producer?.graph;
  if (graph === undefined) return input;
  const b = new OpBuilder({ graph, before: here === undefined ? graph.first : here.next }, opset);
  b.source = here ?? reader;
  const first = indices[0] ?? 0;
  if (indices.some((index, at) => index !== first + at)) return b.gather(input, b.ints(indices), axis);
  // The gradient of a Slice is a Pad, which costs less than scattering.
  const end = first + indices.length;
  return b.slice(input, { starts: [first], ends: [end === 0 ? 2 ** 31 - 1 : end], axes: [axis] });
}

/** What all readers of the first result select, where they agree and it is little of the axis. */
function commonSelection(node: Node): Selection | undefined {
  const y = node.output(0);
  const readers = node.outputs.length === 1 ? readersOf(y) : undefined;
  const selections = readers?.map(selectionOf) ?? [];
  const [first] = selections;
  if (first === undefined) return undefined;
  const agree = selections.every(
    (other) =>
      other !== undefined && other.axis === first.axis && other.indices.join() === first.indices.join(),
  );
  const size = y.tensorType?.shape?.[first.axis];
  const saves = typeof size !== "number" || size >= 2 * first.indices.length;
  return agree && saves ? first : undefined;
}

/** The nodes of its own graph that read a value; undefined where something else reads it, or nothing. */
function readersOf(value: Value): Node[] | undefined {
  const readers = new Set<Node>();
  for (const use of value.uses) {
    if (use.kind !== "operand" || use.index !== 0 || use.node.graph !== value.producer?.graph)
      return undefined;
    readers.add(use.node);
  }
  return readers.size === 0 ? undefined : [...readers];
}

function selectionOf(node: Node): Selection | undefined {
  const rank = node.input(0)?.tensorType?.shape?.length;
  if (rank === undefined || node.domain !== "") return undefined;
  const selection = node.op === "Gather" ? gathered(node) : node.op === "Slice" ? sliced(node) : undefined;
  const axis = selection === undefined ? undefined : normalizeAxis(selection.axis, rank);
  if (selection === undefined || axis === undefined || selection.indices.length > fewest) return undefined;
  return { axis, indices: selection.indices };
}

function gathered(node: Node): Selection | undefined {
  const constant = constantOf(node.input(1));
  const indices = smallIntegers(constant, fewest);
  if (constant === undefined || indices === undefined || constant.dims.length > 1 || indices.length === 0)
    return undefined;
  return { axis: node.int("axis", 0), indices };
}

/** A Slice of one axis with steps of 1 whose length does not depend on the size of the axis. */
function sliced(node: Node): Selection | undefined {
  const [starts, ends, axes, steps] = [1, 2, 3, 4].map((at) => smallIntegers(constantOf(node.input(at))));
  const [start, end] = [starts?.[0], ends?.[0]];
  if (start === undefined || end === undefined || starts?.length !== 1) return undefined;
  if (node.input(3) !== undefined && axes === undefined) return undefined;
  if (node.input(4) !== undefined && steps?.[0] !== 1) return undefined;
  const stop = start < 0 && end >= 2 ** 31 - 1 ? 0 : end;
  if ((start < 0 && stop > 0) || (start >= 0 && stop <= start) || stop - start > fewest) return undefined;
  return {
    axis: axes?.[0] ?? 0,
    indices: Array.from({ length: stop - start }, (_, index) => start + index),
  };
}

function dropsAxis(node: Node): boolean {
  return node.op === "Gather" && constantOf(node.input(1))?.dims.length === 0;
}
