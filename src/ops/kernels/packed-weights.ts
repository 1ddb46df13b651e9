/**
 * Weights packed several to a byte, as float tensors that the graph computes. Whoever multiplies by them does so anew each time:
 * the runtime folds no DequantizeLinear, so that no wide copy of a weight is kept.
 */
import { inlineTensor } from "../../ir/constant.ts";
import { staticShape } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { encodeElements } from "../elements.ts";
import { dtypeOf, rankOf, shapeOf } from "../facts.ts";
import { once } from "./once.ts";
import { alignScales } from "./quantize-axis.ts";
import { realNumbers } from "./quantize-gradient.ts";

/**
 * The numbers in the bytes of a uint8 tensor: the last axis becomes 8 / `bits` times as long. By arithmetic on floats, since
 * the runtime would fold operators on constant bytes into a wider constant.
 *
 * @param first which part of a byte holds the number that comes first.
 */
function unpackBytes(b: OpBuilder, bytes: Value, bits: number, first: "low" | "high" = "low"): Value {
  let parts = [realNumbers(b, bytes)];
  for (let width = 8; width > bits; width /= 2) {
    const base = 2 ** (width / 2);
    parts = parts.flatMap((part) => {
      const high = b.op("Floor", [b.mul(part, 1 / base)]);
      const low = b.sub(part, b.mul(high, base));
      return first === "low" ? [low, high] : [high, low];
    });
  }
  if (parts.length === 1) return parts[0] ?? bytes;
  const rank = rankOf(bytes);
  const stacked = b.concat(
    parts.map((part) => b.unsqueeze(part, [rank])),
    rank,
  );
  const dims = shapeOf(bytes)
    .slice(0, -1)
    .map((dim) => (typeof dim === "number" ? dim : 0));
  return b.reshape(stacked, [...dims, -1]);
}

/** Attributes of MatMulNBits. */
export interface BlockAttributes {
  readonly K: number;
  readonly N: number;
  readonly bits: number;
  readonly block_size: number;
}

/** Constant operands of MatMulNBits. */
export interface BlockOperands {
  readonly packed: Value;
  readonly scales: Value;
  readonly zeros: Value | undefined;
}

/** The (N, K) weight of MatMulNBits, `(numbers - zeros) * scales`, and its factors, each in float32 and built when asked for. */
export interface BlockWeight {
  readonly weight: () => Value;
  /** The numbers with their zero points taken off. */
  readonly shifted: () => Value;
  readonly scales: () => Value;
}

/** Builds the weight of MatMulNBits as its schema in ONNX Runtime's ContribOperators.md says. */
export function blockWeight(b: OpBuilder, operands: BlockOperands, attrs: BlockAttributes): BlockWeight {
  const { packed, zeros } = operands;
  const { N: rows, K: columns, bits, block_size: block } = attrs;
  const blocks = blockCount(attrs);
  const numbers = once(() => b.reshape(unpackBytes(b, packed, bits), [rows, -1]));
  const points = once(() => (zeros === undefined ? 2 ** (bits - 1) : zeroPoints(b, zeros, attrs)));
  const factors = once(() => b.reshape(b.cast(operands.scales, "float32"), [rows, blocks]));
  const index = once(() => groupsInOrder(b, attrs));
  const spread = (perBlock: Value | number): Value | number =>
    typeof perBlock === "number" ? perBlock : b.gather(perBlock, index(), 1);
  const shifted = once(() => b.sub(cut(b, numbers(), columns), spread(points())));
  const scales = once(() => b.gather(factors(), index(), 1));
  const inBlocks = (): Value => {
    const aligned = (perBlock: Value | number): Value | number =>
      typeof perBlock === "number" ? perBlock : b.unsqueeze(perBlock, [2]);
    const moved = b.sub(b.reshape(numbers(), [rows, blocks, block]), aligned(points()));
    return cut(b, b.reshape(b.mul(moved, aligned(factors())), [rows, blocks * block]), columns);
  };
  return { shifted, scales, weight: inBlocks };
}

/** Sums of what belongs to each block: (N, K) to (N, blocks), the transpose of spreading scales. */
export function sumBlocks(b: OpBuilder, g: Value, attrs: BlockAttributes): Value {
  const flags = b.op("OneHot", [
    b.cast(groupsInOrder(b, attrs), "int64"),
    b.int(blockCount(attrs)),
    b.constant(inlineTensor("float32", [2], encodeElements("float32", Float64Array.of(0, 1)))),
  ]);
  return b.matmul(g, flags);
}

function blockCount({ K, block_size: block }: BlockAttributes): number {
  return Math.ceil(K / block);
}

/** Zero points as floats, (N, blocks): packed like the weights, or floats already. */
function zeroPoints(b: OpBuilder, zeros: Value, attrs: BlockAttributes): Value {
  const blocks = blockCount(attrs);
  if (dtypeOf(zeros) !== "uint8") return b.reshape(b.cast(zeros, "float32"), [attrs.N, blocks]);
  const bytes = b.reshape(zeros, [attrs.N, Math.ceil((blocks * attrs.bits) / 8)]);
  return cut(b, unpackBytes(b, bytes, attrs.bits), blocks);
}

function groupsInOrder(b: OpBuilder, { K, block_size: block }: BlockAttributes): Value {
  const numbers = Int32Array.from({ length: K }, (_, at) => Math.floor(at / block));
  return b.constant(inlineTensor("int32", [K], new Uint8Array(numbers.buffer)), "blocks");
}

function cut(b: OpBuilder, x: Value, columns: number): Value {
  return shapeOf(x)[1] === columns ? x : b.slice(x, { starts: [0], ends: [columns], axes: [1] });
}

/** What the sixteen patterns of MatMulBnb4 mean, by `quant_type`: FP4, and NF4 of arXiv:2305.14314, appendix E. */
const codes: readonly (readonly number[])[] = [
  [0, 1 / 192, 2 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 1 / 4],
  [
    -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1,
  ],
];

/** Numbers of MatMulBnb4 before they are scaled, row-major in one axis of `count`; the high half of a byte comes first. */
function fourBitCodes(b: OpBuilder, packed: Value, count: number, kind: number): Value {
  const half = codes[kind] ?? [];
  const table = half.length === 16 ? half : [...half, ...half.map((value) => -value)];
  const flat = b.reshape(packed, [-1]);
  const numbers = unpackBytes(b, flat, 4, "high");
  const used =
    staticShape(numbers.tensorType?.shape)?.[0] === count
      ? numbers
      : b.slice(numbers, { starts: [0], ends: [count], axes: [0] });
  const values = b.constant(
    inlineTensor("float32", [16], encodeElements("float32", Float64Array.from(table))),
  );
  return b.gather(values, b.cast(used, "int32"));
}

/** A table in blocks along an axis, (rows, width) as floats; `bits` to a number where it is packed in bytes. */
export function blockTable(
  b: OpBuilder,
  {
    data,
    scales,
    zeros,
  }: { readonly data: Value; readonly scales: Value; readonly zeros: Value | undefined },
  attrs: { readonly bits: number; readonly block_size: number; readonly axis: number },
): Value {
  const packed = dtypeOf(data) === "uint8";
  const read = (value: Value): Value => (packed ? unpackBytes(b, value, attrs.bits) : realNumbers(b, value));
  const numbers = read(data);
  const axis = attrs.axis < 0 ? attrs.axis + rankOf(data) : attrs.axis;
  const place = { axis, block_size: attrs.block_size };
  const blocks = shapeOf(scales)[axis];
  const points = (value: Value): Value => {
    const all = read(value);
    if (typeof blocks !== "number" || shapeOf(all)[axis] === blocks) return all;
    return b.slice(all, { starts: [0], ends: [blocks], axes: [axis] });
  };
  const shift =
    zeros === undefined
      ? packed
        ? 2 ** (attrs.bits - 1)
        : 0
      : alignScales(b, points(zeros), numbers, place);
  const shifted = shift === 0 ? numbers : b.sub(numbers, shift);
  return b.mul(b.castLike(shifted, scales), alignScales(b, scales, numbers, place));
}

/**
 * Weights (experts, rows, columns) as floats, `(numbers - zeros) * scales`: a scale for each row, or for each block of its columns.
 * Without zero points they are in the middle of the range.
 */
export function expertWeights(
  b: OpBuilder,
  {
    data,
    scales,
    zeros,
  }: { readonly data: Value; readonly scales: Value; readonly zeros: Value | undefined },
  { bits, block_size }: { readonly bits: number; readonly block_size: number },
): Value {
  if (block_size > 0) return blockTable(b, { data, scales, zeros }, { bits, block_size, axis: 2 });
  const numbers = unpackBytes(b, data, bits);
  const points = zeros === undefined ? 2 ** (bits - 1) : b.unsqueeze(unpackBytes(b, zeros, bits), [2]);
  return b.mul(b.castLike(b.sub(numbers, points), scales), b.unsqueeze(scales, [2]));
}

/** The (N, K) weight of MatMulBnb4, and its numbers before they were scaled. */
export function fourBitWeight(
  b: OpBuilder,
  packed: Value,
  absmax: Value,
  {
    N,
    K,
    block_size,
    quant_type,
  }: { readonly N: number; readonly K: number; readonly block_size: number; readonly quant_type: number },
): { codes: Value; weight: Value } {
  const codes = fourBitCodes(b, packed, N * K, quant_type);
  const scales = alignScales(b, b.cast(absmax, "float32"), codes, { axis: 0, block_size });
  return { codes, weight: b.reshape(b.mul(codes, scales), [N, K]) };
}
