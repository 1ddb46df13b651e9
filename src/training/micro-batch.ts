/** The gradient of a batch as the sum over parts of it: the graph of a part becomes the body of a Loop. */
import { InternalError } from "../diagnostics/define.ts";
import { readValues } from "../ir/captures.ts";
import { cloneInitializers, cloneNode, copyFacts, type ValueMap } from "../ir/clone.ts";
import { inlineTensor, zeroTensor } from "../ir/constant.ts";
import { type Dim, type DimExpr, mulDims, substituteDim, symbol } from "../ir/dim.ts";
import { bitsOf } from "../ir/dtype.ts";
import { Graph } from "../ir/graph.ts";
import { freeInputName } from "../ir/names.ts";
import { Node } from "../ir/node.ts";
import { holdPhases } from "../ir/phase.ts";
import { roleFact, roleOf, withRole } from "../ir/role.ts";
import { sizeOf, staticShape } from "../ir/shape.ts";
import type { Tensor } from "../ir/tensor.ts";
import { tensorType } from "../ir/type.ts";
import { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { dtypeOf, shapeOf } from "../ops/facts.ts";

/**
 * Gives a graph that computes the outputs of `graph` as sums over parts of the batch, or undefined where `graph` was not
 * opened for that (see `openBatch`). What does not depend on the rows is computed once, before; what the loss is divided by, of
 * the whole batch. A part has as many rows as keep the largest value that depends on them within `bytes`, and at least one;
 * parts are about equally large. Random numbers are drawn anew for each part.
 */
export function loopOverParts(graph: Graph, size: PartSize, opset: number): Graph | undefined {
  return isOpen(graph) ? new PartLoop(graph, opset).build(size) : undefined;
}

/** How large a part is: so many rows, or as many as `bytes` allows where that is 0. */
export interface PartSize {
  readonly rows: number;
  readonly bytes: number;
}

/** What the largest value of a part may take, so that what works on it finds it in a cache. */
export const bytesOfPart = 3 * 2 ** 20;

/** Whether a graph was opened, and may be made a loop over parts. */
export function isOpen(graph: Graph): boolean {
  return withRole(graph.outputs, "divisor").length > 0;
}

/** Whether a graph is a loop over parts. */
export function isInParts(graph: Graph): boolean {
  return [...graph.nodes()].some((node) => node.metadata.has(partsMark));
}

/** Marks a Loop over parts of a batch. */
const partsMark = "peft.parts";

/**
 * How many parts of the size of the first a Loop over parts of a batch takes, where the axes have sizes: not a whole number where
 * the last one is smaller. Undefined for other nodes.
 */
export function partsOfLoop(node: Node): number | undefined {
  const [body] = node.subgraphs();
  if (!node.metadata.has(partsMark) || body === undefined) return undefined;
  for (const inner of body.nodes()) {
    if (inner.op !== "Slice") continue;
    const [whole, part] = [inner.input(0), inner.output(0)].map((value) => value?.tensorType?.shape?.[0]);
    if (typeof whole === "number" && typeof part === "number" && part > 0) return whole / part;
  }
  return undefined;
}

/** How many rows a part has in a graph that was opened, when all its other axes have a size. */
export function rowsOfPart(graph: Graph, sizeOfAxis: number): number {
  const counted = graph.inputs.find((input) => roleFact(input, "rows") !== undefined);
  const rows = counted?.tensorType?.shape?.[0];
  if (rows === undefined || typeof rows === "number") return 1;
  const values = [...graph.nodes()].flatMap((node) => node.outputs.filter((output) => output !== null));
  const row = largestRow(values, rows).map((dim) => Number(substituteDim(dim, () => sizeOfAxis)));
  return Math.max(1, Math.floor(bytesOfPart / Math.max(...row.filter(Number.isFinite), 1)));
}

class PartLoop {
  readonly #graph: Graph;
  readonly #opset: number;
  readonly #outer: Graph;
  readonly #outside: OpBuilder;
  /** What stands for the values of the graph around the loop. */
  readonly #around: ValueMap = new Map();
  /** Values that differ from part to part. */
  readonly #varying = new Set<Value>();

  constructor(graph: Graph, opset: number) {
    this.#graph = graph;
    this.#opset = opset;
    this.#outer = new Graph(graph.name);
    this.#outer.docString = graph.docString;
    this.#outside = new OpBuilder({ graph: this.#outer }, opset);
  }

  build(size: PartSize): Graph {
    const divisors = withRole(this.#graph.outputs, "divisor");
    this.#addInputs();
    this.#findVarying();
    this.#addDivisors(divisors);
    for (const node of this.#graph.nodes()) {
      if (!makesAny(node, this.#varying)) this.#outer.insert(cloneNode(node, this.#around));
    }
    const sums = this.#graph.outputs.filter((output) => !divisors.includes(output));
    const results = this.#loop(sums, size);
    this.#outer.setOutputs(results);
    return this.#outer;
  }

  /** Inputs of the whole batch; those of divisors are computed instead. */
  #addInputs(): void {
    for (const input of this.#graph.inputs) {
      if (roleOf(input) === "divisor") continue;
      const copy = this.#outer.addInput({ name: input.name, type: wholeType(input) });
      copy.initializer = input.initializer;
      for (const [key, value] of input.metadata) if (key !== "peft.rows") copy.metadata.set(key, value);
      this.#around.set(input, copy);
    }
    cloneInitializers(this.#graph, this.#outer, this.#around);
  }

  #findVarying(): void {
    for (const input of this.#graph.inputs)
      if (roleFact(input, "rows") !== undefined || roleOf(input) === "rng") this.#varying.add(input);
    for (const node of this.#graph.nodes()) {
      if (![...readValues(node)].some((value) => this.#varying.has(value))) continue;
      for (const output of node.outputs) if (output !== null) this.#varying.add(output);
    }
  }

  /** What the loss is divided by, of the whole batch. */
  #addDivisors(divisors: readonly Value[]): void {
    const needed = new Set<Value>(divisors);
    for (const node of this.#graph.reversed()) {
      if (makesAny(node, needed)) for (const value of readValues(node)) needed.add(value);
    }
    const ofBatch: ValueMap = new Map(this.#around);
    for (const node of this.#graph.nodes()) {
      if (makesAny(node, needed)) this.#outer.insert(cloneNode(node, ofBatch));
    }
    for (const divisor of divisors) {
      const input = this.#graph.inputs.find(({ name }) => name === roleFact(divisor, "feeds"));
      if (input === undefined) throw new InternalError(`nothing takes divisor "${divisor.name}"`);
      this.#around.set(input, ofBatch.get(divisor) ?? divisor);
    }
  }

  #loop(sums: readonly Value[], size: PartSize): Value[] {
    const b = this.#outside;
    const whole = this.#graph.inputs.filter((input) => roleFact(input, "rows") !== undefined);
    const [first] = whole;
    const batch = first && this.#around.get(first);
    if (first === undefined || batch === undefined) throw new InternalError("no input has rows");
    const rows = b.dim(batch, 0);
    const most = size.rows > 0 ? b.int(size.rows) : this.#rowsWithin(first, size.bytes);
    const count = b.div(b.sub(b.add(rows, most), 1), most);
    // As many parts as are needed, of about the same size.
    const each = b.div(b.sub(b.add(rows, count), 1), b.max(count, 1));
    const body = new Graph("part");
    const map: ValueMap = new Map(this.#around);
    const iteration = body.addInput({ name: "part", type: tensorType("int64", []) });
    const condition = body.addInput({ name: "more", type: tensorType("bool", []) });
    const before = sums.map((sum, at) => body.addInput({ name: `sum.${at}`, type: sum.type }));
    const inner = new OpBuilder({ graph: body }, this.#opset);
    // Another name than that of the whole batch, so that nobody takes a part for all of it.
    const part = symbol(freeInputName(this.#graph, "part_rows"));
    const start = inner.unsqueeze(inner.mul(iteration, each), [0]);
    const end = inner.add(start, each);
    for (const input of whole) {
      const value = inner.op("Slice", [this.#around.get(input) ?? input, start, end, inner.ints([0])]);
      value.type = retyped(input, first, part);
      map.set(input, value);
    }
    for (const seed of withRole(this.#graph.inputs, "rng")) {
      const own = this.#around.get(seed) ?? seed;
      // Seeds of steps differ in their low bits: parts take the high ones.
      const shift = inner.mul(inner.cast(iteration, "uint64"), inner.constant(seedStep(), "seed_step"));
      map.set(seed, inner.add(own, shift));
    }
    for (const node of this.#graph.nodes()) {
      if (makesAny(node, this.#varying)) body.insert(cloneNode(node, map));
    }
    for (const node of body.allNodes()) {
      for (const output of node.outputs) {
        if (output === null) continue;
        output.type = retyped(output, first, part);
        output.content = undefined;
      }
    }
    body.setOutputs([
      inner.op("Identity", [condition]),
      ...sums.map((sum, at) => inner.add(before[at] ?? sum, map.get(sum) ?? sum)),
    ]);
    const always = b.constant(inlineTensor("bool", [], Uint8Array.of(1)), "always");
    const results = sums.map((sum) => copyFacts(sum, new Value({ name: sum.name })));
    const zeros = sums.map((sum) => this.#zerosFor(sum));
    const loop = new Node({
      op: "Loop",
      inputs: [count, always, ...zeros],
      attributes: { body },
      outputs: results,
      name: "parts",
    });
    loop.metadata.set(partsMark, "true");
    holdPhases(loop);
    this.#outer.insert(loop);
    return results;
  }

  /** What a sum starts from: for a gradient made of what it is a gradient by, since a constant would be as large in the file. */
  #zerosFor(sum: Value): Value {
    const dims = staticShape(shapeOf(sum));
    if (dims === undefined) throw new InternalError(`the size of "${sum.name}" is not known`);
    const like = withRole(this.#graph.inputs, "param").find(
      (param) => dims.length > 0 && staticShape(shapeOf(param))?.join() === dims.join(),
    );
    const own = like && this.#around.get(like);
    return own === undefined
      ? this.#outside.constant(zeroTensor(dtypeOf(sum), dims), "zero")
      : this.#outside.mul(own, 0);
  }

  /** How many rows keep the largest varying value within `bytes`, computed from the sizes of the batch. */
  #rowsWithin(input: Value, bytes: number): Value {
    const b = this.#outside;
    const rows = input.tensorType?.shape?.[0];
    if (rows === undefined || typeof rows === "number") throw new InternalError("the batch axis is not open");
    const row = largestRow(this.#varying, rows);
    const size = row
      .map((dim) => this.#evaluate(dim))
      .reduce<Value | undefined>(
        (largest, value) => (largest === undefined ? value : b.max(largest, value)),
        undefined,
      );
    if (size === undefined) return b.int(1);
    return b.max(b.div(b.int(bytes), size), 1);
  }

  /** A dimension as a number of the graph; its names are read from the inputs that have them. */
  #evaluate(dim: Dim): Value {
    const b = this.#outside;
    if (typeof dim === "number") return b.int(Math.max(1, dim));
    const terms = dim.terms.map(({ coefficient, factors }) =>
      factors.reduce<Value>((product, name) => b.mul(product, this.#sizeNamed(name)), b.int(coefficient)),
    );
    return terms.reduce((sum, term) => b.add(sum, term));
  }

  #sizeNamed(name: string): Value {
    for (const input of this.#graph.inputs) {
      const axis =
        input.tensorType?.shape?.findIndex((dim) => typeof dim !== "number" && dim.key === name) ?? -1;
      const outer = this.#around.get(input);
      if (axis >= 0 && outer !== undefined) return this.#outside.dim(outer, axis);
    }
    return this.#outside.int(1);
  }
}

/** The type of a value with another number of rows than that of `counted`. */
function retyped(value: Value, counted: Value, rows: Dim): Value["type"] {
  const type = value.tensorType;
  const [whole] = counted.tensorType?.shape ?? [];
  if (type?.shape === undefined || whole === undefined || typeof whole === "number") return value.type;
  const shape = type.shape.map((dim) =>
    substituteDim(dim, (name) => (name === whole.key ? rows : undefined)),
  );
  return tensorType(type.dtype, shape);
}

/** The type of an input as the whole batch has it. */
function wholeType(input: Value): Value["type"] {
  const rows = roleFact(input, "rows");
  const type = input.tensorType;
  if (rows === undefined || type?.shape === undefined) return input.type;
  const first = /^\d+$/.test(rows) ? Number(rows) : symbol(rows);
  return tensorType(type.dtype, type.shape.with(0, first));
}

/** Bytes that a row takes of the values that take most, one for each way in which they depend on other sizes. */
function largestRow(values: Iterable<Value>, rows: DimExpr): Dim[] {
  const largest = new Map<string, { size: number; row: Dim }>();
  for (const value of values) {
    const type = value.tensorType;
    if (type?.shape === undefined || type.dtype === "string") continue;
    const elements = substituteDim(sizeOf(type.shape), (name) => (name === rows.key ? 1 : undefined));
    const row = mulDims(elements, Math.max(1, bitsOf(type.dtype) / 8));
    const [key, size] =
      typeof row === "number"
        ? ["", row]
        : [row.terms.map(({ factors }) => factors.join("*")).join("+"), row.terms[0]?.coefficient ?? 0];
    if (size > (largest.get(key)?.size ?? 0)) largest.set(key, { size, row });
  }
  return [...largest.values()].map(({ row }) => row);
}

/** What seeds of parts differ by: 2^16, between the number of the batch in the low bits and the seed in the high ones. */
function seedStep(): Tensor {
  return inlineTensor("uint64", [], new Uint8Array(BigUint64Array.of(1n << 16n).buffer));
}

/** Whether a node makes any of some values. */
function makesAny(node: Node, values: ReadonlySet<Value>): boolean {
  return node.outputs.some((output) => output !== null && values.has(output));
}
