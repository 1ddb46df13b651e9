/** Splits attention under a causal mask into blocks of rows, each of which looks at no column after its last row. */
import { type CausalMask, findCausalMask } from "../analysis/causal-mask.ts";
import { constantOf } from "../ir/constant.ts";
import { type Dim, dimsEqual, subDims, unknownDim } from "../ir/dim.ts";
import type { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { onlyReader } from "../ir/readers.ts";
import { replaceValue } from "../ir/replace.ts";
import { normalizeAxis } from "../ir/shape.ts";
import { tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { shapeVector, sizeAt, stateShape } from "../ops/kernels/shape-vector.ts";
import { removeDead } from "./dead.ts";

/** `softmax(scale(queries @ keys) + mask) @ values`, with what makes it. */
interface CausalAttention {
  readonly queries: Value;
  /** Keys with columns last. */
  readonly keys: Value;
  /** Element-wise nodes with one constant scalar each, between the product and the mask. */
  readonly scales: readonly Node[];
  readonly mask: Value;
  readonly softmax: Node;
  readonly values: Value;
  readonly output: Value;
}

export interface SplitOptions {
  /** Blocks that the rows are split into. */
  readonly blocks: number;
  /** Sequences of a known length below this are left whole. */
  readonly shortest: number;
  /** Whether rows that see nothing at all may come out otherwise, since nothing reads them. */
  readonly padded: boolean;
}

/** With n blocks of rows, (n + 1) / 2n of all products and element-wise work are left. Gives how many were split. */
export function splitCausal(graph: Graph, opset: number, options: SplitOptions): number {
  // Layers share their mask, which may be a large constant.
  const masks = new Map<Value, CausalMask | undefined>();
  const maskOf = (value: Value): CausalMask | undefined => {
    if (!masks.has(value)) masks.set(value, findCausalMask(value));
    return masks.get(value);
  };
  let split = 0;
  for (const node of [...graph.nodes()]) {
    const found = node.op === "Softmax" ? findAttention(node, options, maskOf) : undefined;
    if (found === undefined) continue;
    splitRows(graph, opset, found, options.blocks);
    split += 1;
  }
  return split;
}

function findAttention(
  softmax: Node,
  { shortest, padded }: SplitOptions,
  maskOf: (value: Value) => CausalMask | undefined,
): CausalAttention | undefined {
  const shape = softmax.output(0).tensorType?.shape;
  const [rows, columns] = [shape?.at(-2), shape?.at(-1)];
  if (shape === undefined || rows === undefined || columns === undefined || !dimsEqual(rows, columns))
    return undefined;
  if (typeof rows === "number" && rows < shortest) return undefined;
  if (normalizeAxis(softmax.int("axis", -1), shape.length) !== shape.length - 1) return undefined;
  const reader = onlyReader(softmax.output(0));
  const values =
    reader?.op === "MatMul" && reader.input(0) === softmax.output(0) ? reader.input(1) : undefined;
  const sum = made(softmax.input(0), "Add");
  if (reader === undefined || values === undefined || sum === undefined) return undefined;
  for (const [scores, mask] of [sum.inputs, [...sum.inputs].reverse()]) {
    if (scores == null || mask == null) continue;
    const causal = maskOf(mask);
    const product = causal === undefined ? undefined : scaledProduct(scores);
    if (causal === undefined || product === undefined || !(causal.alone || padded)) continue;
    return { ...product, mask, softmax, values, output: reader.output(0) };
  }
  return undefined;
}

/** A product of queries and keys behind scalings by constants. */
function scaledProduct(scores: Value): Pick<CausalAttention, "queries" | "keys" | "scales"> | undefined {
  const scales: Node[] = [];
  for (let value: Value | null | undefined = scores; value?.uses.size === 1; ) {
    const node: Node | undefined = value.producer;
    const [left, right]: readonly (Value | undefined)[] = [node?.input(0), node?.input(1)];
    if (node === undefined || left === undefined || right === undefined || node.domain !== "")
      return undefined;
    if (node.op === "MatMul") return { queries: left, keys: right, scales: scales.reverse() };
    if ((node.op !== "Mul" && node.op !== "Div") || constantOf(right)?.size !== 1) return undefined;
    scales.push(node);
    value = left;
  }
  return undefined;
}

function splitRows(graph: Graph, opset: number, attention: CausalAttention, blocks: number): void {
  const { queries, keys, scales, mask, softmax, values, output } = attention;
  const reader = output.producer;
  const b = new OpBuilder({ graph, before: reader }, opset);
  b.source = softmax;
  const bounds = rowBounds(b, queries, blocks);
  const sizes = bounds.map(({ content }) => content?.[0] ?? unknownDim());
  const [zero] = bounds;
  const parts = bounds.slice(1).map((end, block) => {
    const start = bounds[block] ?? end;
    const begin = zero ?? start;
    const columns = sizes[block + 1] ?? unknownDim();
    const rows = subDims(columns, sizes[block] ?? 0);
    let scores = b.matmul(
      cut(b, queries, { starts: [start], ends: [end], axes: [-2], sizes: [rows] }),
      cut(b, keys, { starts: [begin], ends: [end], axes: [-1], sizes: [columns] }),
    );
    for (const scale of scales) scores = b.op(scale.op, [scores, scale.input(1) ?? null]);
    const bias = cut(b, mask, {
      starts: [start, begin],
      ends: [end, end],
      axes: [-2, -1],
      sizes: [rows, columns],
    });
    const shares = b.op("Softmax", [b.add(scores, bias)], { axis: -1 });
    return b.matmul(shares, cut(b, values, { starts: [begin], ends: [end], axes: [-2], sizes: [columns] }));
  });
  const joined = b.concat(parts, (output.tensorType?.shape?.length ?? 2) - 2);
  replaceValue(output, stateShape(joined, output));
  if (reader !== undefined) removeDead(reader);
}

/** A part of a value between bounds at run time, whose sizes are known to be these. */
interface Cut {
  readonly starts: readonly Value[];
  readonly ends: readonly Value[];
  /** From the end. */
  readonly axes: readonly number[];
  readonly sizes: readonly Dim[];
}

function cut(b: OpBuilder, x: Value, { starts, ends, axes, sizes }: Cut): Value {
  const part = b.op("Slice", [x, b.concat(starts, 0), b.concat(ends, 0), b.ints(axes)]);
  const type = x.tensorType;
  if (type?.shape === undefined) return part;
  const shape = [...type.shape];
  axes.forEach((axis, index) => {
    shape[shape.length + axis] = sizes[index] ?? unknownDim();
  });
  part.type = tensorType(type.dtype, shape);
  return part;
}

/**
 * Where blocks of rows begin and the last one ends, as vectors of one element. A sequence shorter than there are blocks
 * has empty ones in front, which look at no column: the runtime's product over no columns is not zero in every kernel.
 */
function rowBounds(b: OpBuilder, queries: Value, blocks: number): Value[] {
  const size = sizeAt(queries, -2);
  const missing = Array.from({ length: blocks + 1 }, (_, block) => blocks - block);
  if (typeof size === "number") {
    const height = Math.ceil(size / blocks);
    return missing.map((count) => b.ints([Math.max(0, size - count * height)]));
  }
  const whole = shapeVector(b, [size]);
  const height = b.div(b.add(whole, blocks - 1), blocks);
  return missing.map((count) => {
    if (count === 0) return whole;
    return count === blocks ? b.ints([0]) : b.max(b.sub(whole, b.mul(height, count)), 0);
  });
}

function made(value: Value | undefined, op: string): Node | undefined {
  const node = value?.producer;
  return node?.op === op && node.domain === "" && value?.uses.size === 1 ? node : undefined;
}
