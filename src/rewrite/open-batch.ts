/** Makes a graph with a loss work on any number of rows of a batch, so that parts of a batch can be computed one after the other. */
import { BatchParts } from "../analysis/batch-parts.ts";
import { InternalError } from "../diagnostics/define.ts";
import { constantOf, smallIntegers } from "../ir/constant.ts";
import { type Dim, dimsEqual, substituteDim, symbol, symbolsOf } from "../ir/dim.ts";
import type { Graph } from "../ir/graph.ts";
import { freeInputName } from "../ir/names.ts";
import type { Node } from "../ir/node.ts";
import { roleOf, setRole, withRole } from "../ir/role.ts";
import { type Shape, sizeOf } from "../ir/shape.ts";
import { tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { shapeOf } from "../ops/facts.ts";
import { inferNode } from "../ops/infer.ts";
import { broadcastParts } from "../ops/kernels/parts.ts";
import { opOf } from "../ops/registry.ts";
import { takeDivisors } from "../training/divisor.ts";
import { repeatedOnce } from "./take-once.ts";

/** Roles of outputs that a graph may have: all others tell of single batches, and may not be added up. */
const added: ReadonlySet<string> = new Set(["loss", "metric", "divisor"]);

/**
 * Opens the batch axis in place: the first axis of the inputs that hold rows gets a name where it was a number, constant shapes
 * leave it open, and what the loss is divided by becomes an input of role `divisor`, with an output of this role for its value.
 * Inputs that hold rows are marked by the fact `rows`, which is their size in the whole batch.
 *
 * @returns why parts of a batch cannot be computed alone; undefined where they can. The graph is then of no more use.
 */
export function openBatch(graph: Graph, opset: number): string | undefined {
  const divisors = takeDivisors(graph);
  if (divisors.length === 0) return "its loss is not a sum over rows";
  const other = graph.outputs.find((output) => !added.has(roleOf(output) ?? ""));
  if (other !== undefined) return `output "${other.name}" is not a sum over rows`;
  const inputs = withRole(graph.inputs, "label").concat(withRole(graph.inputs, "batch"));
  const [counted] = inputs;
  const size = counted?.tensorType?.shape?.[0];
  if (counted === undefined || size === undefined || size === 1) return "its batches have one row";
  if (typeof size !== "number" && symbolsOf(size).size !== 1) return `the number of rows is ${size}`;
  const rows = typeof size === "number" ? symbol(freeInputName(graph, "rows")) : size;
  const parts = new BatchParts(rows);
  for (const input of inputs) {
    const type = input.tensorType;
    const [first, ...rest] = type?.shape ?? [];
    if (type === undefined || first === undefined) continue;
    if (dimsEqual(first, size)) {
      input.metadata.set("peft.rows", String(size));
      input.type = tensorType(type.dtype, [rows, ...rest]);
      parts.set(input, { kind: "rows", axis: 0 });
    } else if (first !== 1 && typeof first !== "number")
      return `input "${input.name}" has ${first} rows, not ${size}`;
  }
  cutDivisors(graph, divisors, opset);
  const opener = new Opener(parts, size, counted, opset);
  for (const node of [...graph.nodes()]) opener.visit(node);
  const lost = graph.outputs.find(
    (output) => roleOf(output) !== "divisor" && parts.of(output).kind !== "sum",
  );
  return lost === undefined ? undefined : opener.reason(lost);
}

function cutDivisors(graph: Graph, divisors: readonly Value[], opset: number): void {
  const b = new OpBuilder({ graph }, opset);
  for (const divisor of divisors) {
    const input = graph.addInput({ name: freeInputName(graph, "divisor"), type: divisor.type });
    setRole(input, "divisor", { key: input.name });
    divisor.replaceUses(input, ({ kind }) => kind === "output");
    // One that is counted, too, keeps its own role as an output.
    const value = divisor.isUsed ? b.op("Identity", [divisor]) : divisor;
    graph.addOutput(setRole(value, "divisor", { feeds: input.name }));
  }
}

/** Walks the nodes of a graph, mending those that hold the number of rows as a constant. */
class Opener {
  readonly #parts: BatchParts;
  /** Number of rows in the file. */
  readonly #size: Dim;
  readonly #opset: number;
  /** An input that has rows. */
  readonly #counted: Value;

  constructor(parts: BatchParts, size: Dim, counted: Value, opset: number) {
    this.#parts = parts;
    this.#counted = counted;
    this.#size = size;
    this.#opset = opset;
  }

  visit(node: Node): void {
    if (typeof this.#size === "number") this.#mend(node);
    this.#parts.visit(node);
  }

  /** The first node on the way to a value that is not made of rows alone. */
  reason(value: Value): string {
    const seen = new Set<Value>([value]);
    for (const each of seen) {
      const { producer } = each;
      if (producer === undefined) continue;
      const operands = producer.inputs.filter((input) => input !== null);
      const lost = operands.filter((input) => this.#parts.of(input).kind === "whole");
      if (lost.length === 0 && this.#parts.of(each).kind === "whole")
        return `${producer.op} "${producer.name}" does not work row by row`;
      for (const input of lost.length > 0 ? lost : operands) seen.add(input);
    }
    return `"${value.name}" is not a sum over rows`;
  }

  #mend(node: Node): void {
    if (!node.inputs.some((input) => this.#parts.axisOf(input) !== undefined)) return;
    if (node.op === "Reshape") this.#openReshape(node, node.output(0).tensorType?.shape);
    else if (node.op === "Expand") this.#openExpand(node);
    else this.#takeOnce(node);
    for (const output of node.outputs) if (output !== null) output.type = undefined;
    inferNode(node, this.#opset);
  }

  /** A constant shape says -1, or 0, where it said the number of rows. */
  #openReshape(node: Node, to: Shape | undefined): void {
    const axis = this.#parts.axisOf(node.input(0));
    const target = smallIntegers(constantOf(node.input(1)));
    const from = this.#closed(node.input(0));
    if (axis === undefined || target === undefined || from === undefined || to === undefined) return;
    const before = sizeOf(from.slice(0, axis));
    const at = to.findIndex(
      (dim, position) =>
        typeof dim === "number" &&
        dim > 0 &&
        dim % Number(this.#size) === 0 &&
        dimsEqual(sizeOf(to.slice(0, position)), before),
    );
    if (at < 0 || (target[at] ?? 0) <= 0) return;
    const known = target.map((size, position) => {
      const dim = to[position];
      return size === -1 && typeof dim === "number" ? dim : size;
    });
    const open = known.some((size, position) => position !== at && size === -1);
    const stays = at === axis && dimsEqual(from[axis] ?? 0, to[at] ?? 0) && node.int("allowzero", 0) === 0;
    if (open && !stays) return;
    node.setInput(1, this.#before(node).ints(known.with(at, open ? 0 : -1)));
  }

  #openExpand(node: Node): void {
    const axis = this.#parts.axisOf(node.input(0));
    const rank = node.input(0)?.tensorType?.shape?.length;
    const target = smallIntegers(constantOf(node.input(1)));
    if (axis === undefined || rank === undefined || target === undefined) return;
    const at = axis - rank + target.length;
    if (at >= 0) node.setInput(1, this.#before(node).ints(target.with(at, 1)));
  }

  /** What repeats itself for every row of the file is taken once, and broadcast, or spread over the rows that there are. */
  #takeOnce(node: Node): void {
    const broadcasts = broadcastParts.has(opOf(node)?.parts);
    if (!broadcasts && node.op !== "Concat") return;
    const aligned = node.inputs.flatMap((input) => {
      const axis = this.#parts.axisOf(input);
      const rank = input?.tensorType?.shape?.length;
      return axis === undefined || rank === undefined ? [] : [axis - rank];
    });
    const [along] = aligned;
    if (along === undefined) return;
    node.inputs.forEach((input, index) => {
      if (input === null || this.#parts.of(input).kind !== "same") return;
      const shape = input.tensorType?.shape;
      const axis = (shape?.length ?? 0) + along;
      if (shape?.[axis] !== this.#size) return;
      const once = repeatedOnce(input, axis, this.#opset, node);
      if (once !== undefined) node.setInput(index, broadcasts ? once : this.#spread(node, once, axis));
    });
  }

  #spread(reader: Node, once: Value, axis: number): Value {
    const b = this.#before(reader);
    const ones = shapeOf(once).map(() => b.ints([1]));
    const rows = b.unsqueeze(b.dim(this.#counted, 0), [0]);
    const spread = b.expand(once, b.concat(ones.with(axis, rows), 0));
    this.#parts.set(spread, { kind: "rows", axis });
    return spread;
  }

  #before(node: Node): OpBuilder {
    if (node.graph === undefined) throw new InternalError(`node "${node.name}" is in no graph`);
    return new OpBuilder({ graph: node.graph, before: node }, this.#opset);
  }

  /** The shape that an operand has in the file. */
  #closed(value: Value | undefined): Shape | undefined {
    const [name] = symbolsOf(this.#parts.rows);
    return value?.tensorType?.shape?.map((dim) =>
      substituteDim(dim, (each) => (each === name ? this.#size : undefined)),
    );
  }
}
