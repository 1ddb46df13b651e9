/** Mixed precision: rewrites a float32 graph so that products run in 16 bits, by each operator's precision class. */
import { constantOf } from "../ir/constant.ts";
import { bitsOf, type DType, isFloat, isInteger } from "../ir/dtype.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { roleOf } from "../ir/role.ts";
import type { Value } from "../ir/value.ts";
import { roundElement } from "../ops/elements.ts";
import { inferNode } from "../ops/infer.ts";
import { fromTensor } from "../ops/ndarray.ts";
import { type PrecisionClass, paramAt } from "../ops/record.ts";
import { opOf } from "../ops/registry.ts";
import { insertCast } from "./insert-cast.ts";

/** The two types that can be asked for. */
export type LowDType = "float16" | "bfloat16";

/** What was done. */
export interface Autocast {
  /** Operators that now run in 16 bits. */
  readonly lowered: number;
  readonly casts: number;
}

/**
 * Inserts casts in node order, in the manner of torch.autocast: operators of class `low` get 16-bit operands, of class
 * `full` float32 ones, of class `follow` 16 bits only where no float32 operand but scalar constants meets them. Products
 * of positions and the like stay float32, since 16 bits do not hold wide whole numbers. Parameters, labels, loss and all
 * outputs keep their types, and bodies of control flow read what they read before.
 */
export function autocastGraph(graph: Graph, dtype: LowDType, opset: number): Autocast {
  const casts = new CastCache(graph, dtype);
  const promised = graph.outputs.map((output) => output.tensorType?.dtype);
  const changed = new Map<Value, DType>();
  let lowered = 0;
  for (const node of graph.nodes()) {
    for (const body of node.subgraphs()) restoreCaptures(body, changed, casts);
    const target = targetType(node, dtype);
    if (target === undefined) continue;
    if (target === dtype) lowered += 1;
    castOperands(node, target, casts);
    retype(node, dtype, opset, changed);
  }
  graph.outputs.forEach((output, index) => {
    const wanted = promised[index];
    if (wanted === undefined || output.tensorType?.dtype === wanted) return;
    const restored = casts.get(output, wanted);
    restored.name = output.name;
    output.name = "";
    for (const [key, value] of output.metadata) restored.metadata.set(key, value);
    graph.setOutput(index, restored);
  });
  return { lowered, casts: casts.made };
}

/** Infers the results anew; those that got another float type are noted with the one they had. */
function retype(node: Node, low: LowDType, opset: number, changed: Map<Value, DType>): void {
  const before = node.outputs.map((output) => output?.tensorType?.dtype);
  for (const output of node.outputs) if (output !== null && isFloatPair(output, low)) output.type = undefined;
  inferNode(node, opset);
  node.outputs.forEach((output, index) => {
    const dtype = before[index];
    if (output !== null && dtype !== undefined && output.tensorType?.dtype !== dtype)
      changed.set(output, dtype);
  });
}

/** Lets a body read captured values in the type that they had when its own types were inferred. */
function restoreCaptures(body: Graph, changed: ReadonlyMap<Value, DType>, casts: CastCache): void {
  const restored = (value: Value | null): Value | undefined => {
    const dtype = value === null ? undefined : changed.get(value);
    return value === null || dtype === undefined ? undefined : casts.get(value, dtype);
  };
  for (const node of body.allNodes()) {
    node.inputs.forEach((input, index) => {
      const view = restored(input);
      if (view !== undefined) node.setInput(index, view);
    });
    for (const inner of node.subgraphs()) restoreOutputs(inner, restored);
  }
  restoreOutputs(body, restored);
}

function restoreOutputs(body: Graph, restored: (value: Value) => Value | undefined): void {
  body.outputs.forEach((output, index) => {
    const view = restored(output);
    if (view !== undefined) body.setOutput(index, view);
  });
}

/** The float type that a node is to compute in; undefined where it keeps what it has. */
function targetType(node: Node, low: LowDType): LowDType | "float32" | undefined {
  const op = opOf(node);
  const floats = floatOperands(node);
  if (floats.length === 0) return undefined;
  // Bodies are compiled for float32 operands.
  if (op === undefined || node.subgraphs().length > 0) return "float32";
  const precision: PrecisionClass = op.precision;
  if (precision === "low")
    return floats.some((index) => holdsWideIntegers(node.input(index))) ? "float32" : low;
  if (precision === "full") return "float32";
  if (precision === "exact") return undefined;
  const deciding = floats
    .map((index) => node.input(index))
    .filter((value) => value !== undefined && !isScalar(value, low));
  const allLow = deciding.length > 0 && deciding.every((value) => value?.tensorType?.dtype === low);
  return allLow ? low : "float32";
}

function floatOperands(node: Node): number[] {
  const op = opOf(node);
  return node.inputs.flatMap((input, index) => {
    const dtype = input?.tensorType?.dtype;
    if (dtype !== "float32" && dtype !== "float16" && dtype !== "bfloat16") return [];
    const name = op === undefined ? undefined : paramAt(op.inputs, index)?.name;
    return name !== undefined && op?.hostInputs.has(name) ? [] : [index];
  });
}

function castOperands(node: Node, target: DType, casts: CastCache): void {
  for (const index of floatOperands(node)) {
    const value = node.input(index);
    if (value !== undefined && value.tensorType?.dtype !== target)
      node.setInput(index, casts.get(value, target, node));
  }
}

/** Whether a value is a constant of one element that 16 bits hold: a mask's -3e38 becomes infinite, an epsilon 0. */
function isScalar(value: Value, low: LowDType): boolean {
  const tensor = constantOf(value);
  if (tensor === undefined || tensor.size !== 1) return false;
  const [element = 0] = fromTensor(tensor).numbers;
  const rounded = roundElement(low, element);
  return Number.isFinite(rounded) === Number.isFinite(element) && (rounded === 0) === (element === 0);
}

/**
 * Whether a value is nothing but 32- or 64-bit whole numbers under a float type, such as the positions that a rotary
 * embedding multiplies by its frequencies: bfloat16 holds whole numbers only up to 256, float16 up to 2,048.
 */
function holdsWideIntegers(value: Value | undefined): boolean {
  let node = value?.producer;
  while (node !== undefined) {
    const precision = opOf(node)?.precision;
    const from = node.input(0)?.tensorType?.dtype;
    if (precision === "exact" && from !== undefined && !isFloat(from))
      return isInteger(from) && bitsOf(from) >= 32;
    const [only, another] = floatOperands(node);
    if ((precision !== "follow" && precision !== "exact") || only === undefined || another !== undefined)
      return false;
    node = node.input(only)?.producer;
  }
  return false;
}

function isFloatPair(value: Value, low: LowDType): boolean {
  const dtype = value.tensorType?.dtype;
  return dtype === "float32" || dtype === low;
}

/** One cast per value and type, placed right after the value is there. */
class CastCache {
  /** Number of casts. */
  made = 0;
  readonly #graph: Graph;
  readonly #low: LowDType;
  readonly #known = new Map<Value, Map<DType, Value>>();

  constructor(graph: Graph, low: LowDType) {
    this.#graph = graph;
    this.#low = low;
  }

  get(value: Value, to: DType, reader?: Node): Value {
    const byType = this.#known.get(value) ?? new Map<DType, Value>();
    this.#known.set(value, byType);
    const known = byType.get(to);
    if (known !== undefined) return known;
    const cast = this.#make(value, to, reader);
    this.made += 1;
    byType.set(to, cast);
    return cast;
  }

  #make(value: Value, to: DType, reader?: Node): Value {
    const node = insertCast(this.#graph, value, to);
    if (value.producer === undefined) node.name = reader?.name ?? "";
    for (const [key, text] of value.producer?.metadata ?? []) node.metadata.set(key, text);
    node.metadata.set("peft.cast", roleOf(value) === "param" ? "param" : this.#low);
    return node.output();
  }
}
