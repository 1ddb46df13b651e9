/** Computes a language model's head and its cross-entropy over chunks of rows, and the gradient of its input with them. */
import { activeValues } from "../autodiff/activity.ts";
import { InternalError } from "../diagnostics/define.ts";
import type { Dim } from "../ir/dim.ts";
import { Graph } from "../ir/graph.ts";
import type { Node } from "../ir/node.ts";
import { onlyReader } from "../ir/readers.ts";
import { replaceValue } from "../ir/replace.ts";
import { withRole } from "../ir/role.ts";
import { countElements, normalizeAxis, staticShape } from "../ir/shape.ts";
import { tensorType } from "../ir/type.ts";
import type { Value } from "../ir/value.ts";
import { OpBuilder } from "../ops/builder.ts";
import { dimOf } from "../ops/facts.ts";
import { reshapeTo, sizesOf, stateShape } from "../ops/kernels/shape-vector.ts";
import { stateSlope } from "../ops/stated-slope.ts";
import { removeDead } from "./dead.ts";

export interface ChunkOptions {
  /** Bytes of the scores of one chunk of rows. */
  readonly bytes: number;
  /** Classes below which a head is left whole. */
  readonly classes: number;
}

/** Scores of rows and what is read of them: the log of the share of one class in each row. */
interface Head {
  /** Rows that the head reads, [..., width]. */
  readonly rows: Value;
  /** Frozen, [width, classes], or [classes, width] where `turned`. */
  readonly weight: Value;
  readonly turned: boolean;
  readonly width: number;
  readonly classes: number;
  /** Class of each row, [..., 1]. */
  readonly ids: Value;
  /** What takes the place of the rows' scores: log of the share of the class, [..., 1]. */
  readonly picked: Value;
}

/**
 * Gives how many heads were rewritten. One is left alone where something else reads its scores, where its weights are trained, or
 * where all its scores are known to be no more than one chunk.
 */
export function chunkHeads(graph: Graph, opset: number, options: ChunkOptions): number {
  const trained = activeValues(graph, withRole(graph.inputs, "param"));
  let count = 0;
  for (const node of [...graph.nodes()]) {
    const head = node.op === "GatherElements" ? findHead(node, trained, options, opset) : undefined;
    if (head === undefined) continue;
    chunk(graph, opset, head, options);
    count += 1;
  }
  return count;
}

/** `GatherElements(LogSoftmax(MatMul(rows, weight)), ids)` over the last axis, with a Slice of rows before the softmax or none. */
function findHead(
  pick: Node,
  trained: ReadonlySet<Value>,
  { bytes, classes: fewest }: ChunkOptions,
  opset: number,
): Head | undefined {
  const ids = pick.input(1);
  const softmax = made(pick.input(0), "LogSoftmax");
  if (ids === undefined || softmax === undefined || !isLast(pick, 0) || !isLast(softmax, -1))
    return undefined;
  const slice = made(softmax.input(0), "Slice");
  const product = made(slice === undefined ? softmax.input(0) : slice.input(0), "MatMul");
  const [rows, right] = [product?.input(0), product?.input(1)];
  if (product === undefined || rows === undefined || right === undefined) return undefined;
  const transposed = right.producer?.op === "Transpose" ? right.producer.input(0) : undefined;
  const weight = transposed ?? right;
  const dims = staticShape(weight.tensorType?.shape);
  const [width, classes] = transposed === undefined ? (dims ?? []) : [...(dims ?? [])].reverse();
  if (dims?.length !== 2 || width === undefined || classes === undefined || classes < fewest)
    return undefined;
  const types = [rows, weight, product.output(0)].map((value) => value.tensorType?.dtype);
  if (types.some((dtype) => dtype !== "float32") || trained.has(weight) || !trained.has(rows))
    return undefined;
  const shape = softmax.output(0).tensorType?.shape;
  const counted = staticShape(shape);
  if (shape === undefined || (counted !== undefined && 4 * countElements(counted) <= bytes)) return undefined;
  const kept = slice === undefined ? rows : sliceRows(slice, rows, opset);
  if (kept === undefined) return undefined;
  return {
    rows: kept,
    weight,
    turned: transposed !== undefined,
    width,
    classes,
    ids,
    picked: pick.output(0),
  };
}

/** The rows of which a slice of the scores is made; undefined where it may cut classes off. */
function sliceRows(slice: Node, rows: Value, opset: number): Value | undefined {
  const rank = rows.tensorType?.shape?.length ?? 0;
  const axes = slice.input(3)?.content;
  const isRowAxis = (axis: Dim): boolean =>
    typeof axis === "number" && (normalizeAxis(axis, rank) ?? rank) < rank - 1;
  if (axes === undefined || !axes.every(isRowAxis) || slice.graph === undefined) return undefined;
  const b = new OpBuilder({ graph: slice.graph, before: slice }, opset);
  b.source = slice;
  return b.op("Slice", [rows, ...slice.inputs.slice(1)]);
}

function chunk(graph: Graph, opset: number, head: Head, { bytes }: ChunkOptions): void {
  const { rows, ids, picked, width, classes } = head;
  const pick = picked.producer;
  const b = new OpBuilder({ graph, before: pick }, opset);
  b.source = pick;
  const flat = b.reshape(ids, [-1]);
  const parts = divide(b, flat, Math.max(1, Math.floor(bytes / (4 * classes))));
  const operands = [stack(b, b.reshape(rows, [-1, width]), parts, [width]), stack(b, flat, parts, [])];
  const attributes = { body: chunkBody(head, operands, opset), num_scan_inputs: operands.length };
  const scan = b.node("Scan", operands, attributes, { outputs: 2 });
  stateSlope(scan, { of: 0, by: 0, slope: 1 });
  const losses = b.op("Slice", [b.reshape(scan.output(0), [-1]), b.ints([0]), parts.count, b.ints([0])]);
  replaceValue(picked, stateShape(reshapeTo(b, b.neg(losses), sizesOf(ids)), picked));
  if (pick !== undefined) removeDead(pick);
}

/** Rows in chunks of one height; sizes as vectors of one element. */
interface Parts {
  readonly chunks: Value;
  readonly height: Value;
  readonly count: Value;
  /** Rows that are missing in the last chunk; undefined where it is known to be full. */
  readonly missing: Value | undefined;
}

/** As few chunks of at most so many rows as will do, as even as can be. */
function divide(b: OpBuilder, rows: Value, most: number): Parts {
  const known = dimOf(rows, 0);
  if (typeof known === "number") {
    const chunks = Math.max(1, Math.ceil(known / most));
    const height = Math.max(1, Math.ceil(known / chunks));
    const missing = chunks * height - known;
    return {
      chunks: b.ints([chunks]),
      height: b.ints([height]),
      count: b.ints([known]),
      missing: missing === 0 ? undefined : b.ints([missing]),
    };
  }
  const count = b.op("Shape", [rows]);
  const chunks = b.max(b.div(b.add(count, most - 1), most), 1);
  const height = b.max(b.div(b.sub(b.add(count, chunks), 1), chunks), 1);
  return { chunks, height, count, missing: b.sub(b.mul(chunks, height), count) };
}

/** [rows, ...tail] as [chunks, height, ...tail], zeros at the end. */
function stack(b: OpBuilder, x: Value, { chunks, height, missing }: Parts, tail: readonly number[]): Value {
  const none = tail.map(() => 0);
  const ends = missing === undefined ? [] : [missing, ...(tail.length === 0 ? [] : [b.ints(none)])];
  const full = missing === undefined ? x : b.op("Pad", [x, b.concat([b.ints([0, ...none]), ...ends], 0)]);
  return b.reshape(full, b.concat([chunks, height, ...(tail.length === 0 ? [] : [b.ints(tail)])], 0));
}

/**
 * For a chunk of rows the negative log of the share of each row's class, and its derivative by the row, `(shares - one-hot) @ weight^T`.
 * What yields the first is written last, since the runtime begins with it: the shares may then overwrite their logs.
 */
function chunkBody({ weight, turned }: Head, operands: readonly Value[], opset: number): Graph {
  const body = new Graph("chunk");
  const [rows, ids] = operands.map((operand, index) => {
    const { dtype = "float32", shape } = operand.tensorType ?? {};
    return body.addInput({ name: index === 0 ? "rows" : "ids", type: tensorType(dtype, shape?.slice(1)) });
  });
  if (rows === undefined || ids === undefined) throw new InternalError("a chunk has rows and their classes");
  const b = new OpBuilder({ graph: body }, opset);
  const byTurned = (x: Value): Value => b.op("Gemm", [x, weight], { transB: 1 });
  const scores = turned ? byTurned(rows) : b.matmul(rows, weight);
  const logs = b.op("LogSoftmax", [scores], { axis: -1 });
  const places = b.unsqueeze(ids, [-1]);
  const shares = b.exp(logs);
  const off = b.op("ScatterElements", [shares, places, b.fillLike(places, -1, "float32")], {
    axis: -1,
    reduction: "add",
  });
  const slope = turned ? b.matmul(off, weight) : byTurned(off);
  const picked = b.op("GatherElements", [logs, places], { axis: -1 });
  body.setOutputs([b.neg(b.squeeze(picked, [-1])), slope]);
  return body;
}

/** The node that makes a value, where it is of this operator and nothing else reads the value. */
function made(value: Value | undefined, op: string): Node | undefined {
  const node = value?.producer;
  if (value === undefined || node?.op !== op || node.domain !== "") return undefined;
  return onlyReader(value) === undefined ? undefined : node;
}

function isLast(node: Node, usual: number): boolean {
  const rank = node.input(0)?.tensorType?.shape?.length;
  return rank !== undefined && normalizeAxis(node.int("axis", usual), rank) === rank - 1;
}
