/**
 * Recognises modules whose own operators read quantised weights: MatMulNBits and its kin, and products of whole numbers with data
 * that is quantised as it comes (what onnxruntime.quantization writes).
 */
import { InternalError } from "../diagnostics/define.ts";
import { constantOf } from "../ir/constant.ts";
import { isFloat } from "../ir/dtype.ts";
import type { Node } from "../ir/node.ts";
import { onlyReader } from "../ir/readers.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { dequantize } from "../ops/kernels/dequantize.ts";
import { blockTable, blockWeight, fourBitWeight } from "../ops/kernels/packed-weights.ts";
import { type NumberLayout, packedLayout, plainLayout } from "./number-layout.ts";
import type { QuantizedWeight } from "./quantized-weight.ts";

/** The parts of a module that its operator does not say in the way of MatMul, Conv and Gather. */
export interface QuantizedSite {
  readonly kind: "linear" | "conv" | "embedding";
  /** Float data, or ids. */
  readonly x: Value;
  /** Float result, before any bias that an Add adds behind it. */
  readonly y: Value;
  readonly packed: Value;
  readonly operand: number;
  /** Whether the numbers are laid out as PyTorch's weight. */
  readonly storedAs: "torch" | "transposed";
  readonly quantized: QuantizedWeight;
  /** Position of a bias among the node's operands. */
  readonly bias?: number;
}

/** The module whose numbers a node reads; undefined where the node is none, or reads something else than constants. */
export function quantizedSite(node: Node): QuantizedSite | undefined {
  if (node.domain === "com.microsoft") return ownOperators[node.op]?.(node);
  if (node.domain !== "") return undefined;
  if (node.op === "MatMulInteger") return wholeProduct(node, "linear");
  if (node.op === "ConvInteger") return wholeProduct(node, "conv");
  return node.op === "Gather" ? gatheredNumbers(node) : undefined;
}

const ownOperators: Readonly<Record<string, (node: Node) => QuantizedSite | undefined>> = {
  MatMulNBits: (node) => {
    const [bits, block] = [node.int("bits", 4), node.int("block_size", 0)];
    const attrs = { K: node.int("K", 0), N: node.int("N", 0), bits, block_size: block };
    if (node.input(4) !== undefined || block < 1) return undefined;
    return ownOperator(node, {
      operands: [1, 2, 3],
      bias: 5,
      shape: [attrs.N, attrs.K],
      storedAs: "torch",
      description: `${bits} bits in blocks of ${block}`,
      layout: (numbers) => packedLayout(numbers, { bits, rows: attrs.N, columns: attrs.K }),
      build: (b, [packed, scales, zeros]) => {
        if (packed === undefined || scales === undefined) return undefined;
        return blockWeight(b, { packed, scales, zeros }, attrs).weight();
      },
    });
  },
  MatMulBnb4: (node) => {
    if (node.int("transB", 1) === 0) return undefined;
    const attrs = {
      K: node.int("K", 0),
      N: node.int("N", 0),
      block_size: node.int("block_size", 0),
      quant_type: node.int("quant_type", 1),
    };
    return ownOperator(node, {
      operands: [1, 2],
      shape: [attrs.N, attrs.K],
      storedAs: "torch",
      description: `${attrs.quant_type === 0 ? "fp4" : "nf4"} in blocks of ${attrs.block_size}`,
      layout: (numbers) =>
        packedLayout(numbers, {
          bits: 4,
          rows: 1,
          columns: attrs.N * attrs.K,
          first: "high",
          linear: false,
        }),
      build: (b, [packed, absmax]) => packed && absmax && fourBitWeight(b, packed, absmax, attrs).weight,
    });
  },
  DynamicQuantizeMatMul: (node) => columnScaled(node, node.input(0), [1, 2, 3], 4),
  MatMulIntegerToFloat: (node) => columnScaled(node, quantizedData(node.input(0)), [1, 3, 5], 6),
  GatherBlockQuantized: (node) => {
    const tensor = constantOf(node.input(0));
    const ids = node.input(1);
    const [bits, block, axis] = [
      node.int("bits", 4),
      node.int("block_size", 128),
      node.int("quantize_axis", 1),
    ];
    const [rows = 0, columns = 0] = tensor?.dims ?? [];
    if (ids === undefined || tensor?.dims.length !== 2 || node.int("gather_axis", 0) !== 0) return undefined;
    const width = tensor.dtype === "uint8" ? (columns * 8) / bits : columns;
    const found = ownOperator(node, {
      operands: [0, 2, 3],
      shape: [rows, width],
      storedAs: "torch",
      description: `${tensor.dtype === "uint8" ? `${bits} bits` : tensor.dtype} in blocks of ${block}`,
      layout: (numbers) =>
        numbers.dtype === "uint8"
          ? packedLayout(numbers, { bits, rows, columns: width })
          : plainLayout(numbers),
      build: (b, [data, scales, zeros]) =>
        data && scales && blockTable(b, { data, scales, zeros }, { bits, block_size: block, axis }),
    });
    return found && { ...found, kind: "embedding", x: ids };
  },
};

interface OwnOperator {
  /** Positions of numbers, scales and zero points. */
  readonly operands: readonly number[];
  readonly bias?: number;
  readonly shape: readonly number[];
  readonly storedAs: "torch" | "transposed";
  readonly description: string;
  readonly layout: (numbers: Tensor) => NumberLayout | undefined;
  readonly build: (
    b: Parameters<QuantizedWeight["build"]>[0],
    constants: readonly (Value | undefined)[],
  ) => Value | undefined;
}

/** A linear layer by one node, from its first operand to its result. */
function ownOperator(
  node: Node,
  spec: OwnOperator,
  x: Value | undefined = node.input(0),
): QuantizedSite | undefined {
  const { operands, bias, shape, storedAs, description, layout, build } = spec;
  const constants = operands.map((index) => node.input(index));
  const [packed] = constants;
  const numbers = constantOf(packed);
  if (x === undefined || packed === undefined || numbers === undefined) return undefined;
  if (!allConstant(constants)) return undefined;
  if (bias !== undefined && node.input(bias) !== undefined && constantOf(node.input(bias)) === undefined)
    return undefined;
  return {
    kind: "linear",
    x,
    y: node.output(),
    packed,
    operand: operands[0] ?? 1,
    storedAs,
    quantized: {
      description,
      shape,
      readByOperator: true,
      constants,
      layout: layout(numbers),
      build: required(build),
    },
    ...(bias === undefined ? {} : { bias }),
  };
}

/** Numbers (in, out) with one scale or one for each column. */
function columnScaled(
  node: Node,
  x: Value | undefined,
  operands: readonly [number, number, number],
  bias: number,
): QuantizedSite | undefined {
  const tensor = constantOf(node.input(operands[0]));
  if (tensor?.dims.length !== 2 || x === undefined) return undefined;
  return ownOperator(
    node,
    {
      operands,
      bias,
      shape: tensor.dims,
      storedAs: "transposed",
      description: tensor.dtype,
      layout: plainLayout,
      build: (b, [numbers, scale, zero]) =>
        numbers && scale && dequantize(b, numbers, { scale, zero, axis: 1 }),
    },
    x,
  );
}

/**
 * `Mul(Cast(MatMulInteger(q, numbers, zero, zeros)), scales)` for q, scale and zero of one quantisation of x, where the scales are
 * the product of that scale and a constant; the same for ConvInteger.
 */
function wholeProduct(node: Node, kind: "linear" | "conv"): QuantizedSite | undefined {
  const [data, numbers] = [node.input(0), node.input(1)];
  const [tensor, zero] = [constantOf(numbers), node.input(3)];
  const x = quantizedData(data);
  const scaled = x && data && scaledBy(node.output(), scaleOf(data));
  if (x === undefined || numbers === undefined || tensor === undefined || scaled === undefined)
    return undefined;
  if (zero !== undefined && constantOf(zero) === undefined) return undefined;
  const columns = kind === "linear" ? tensor.dims[1] : tensor.dims[0];
  const isScalar = constantOf(scaled.scale)?.size === 1;
  if (
    (kind === "linear" && tensor.dims.length !== 2) ||
    (!isScalar && !runsAlong(scaled.scale, columns, kind))
  )
    return undefined;
  return {
    kind,
    x,
    y: scaled.y,
    packed: numbers,
    operand: 1,
    storedAs: kind === "linear" ? "transposed" : "torch",
    quantized: {
      description: tensor.dtype,
      shape: tensor.dims,
      readByOperator: true,
      layout: plainLayout(tensor),
      constants: [numbers, scaled.scale, zero],
      build: required((b, [packed, factors, zeros]) => {
        if (packed === undefined || factors === undefined) return undefined;
        const scale = b.reshape(factors, isScalar ? [] : [-1]);
        return dequantize(b, packed, { scale, zero: zeros, axis: kind === "linear" ? 1 : 0 });
      }),
    },
  };
}

/** Rows of a table of numbers that are scaled back after they were looked up. */
function gatheredNumbers(node: Node): QuantizedSite | undefined {
  const [numbers, ids] = [node.input(0), node.input(1)];
  const tensor = constantOf(numbers);
  const use = onlyReader(node.output());
  if (tensor?.dims.length !== 2 || isFloat(tensor.dtype) || node.int("axis", 0) !== 0) return undefined;
  if (use?.op !== "DequantizeLinear" || use.input(0) !== node.output()) return undefined;
  const constants = [numbers, use.input(1), use.input(2)];
  if (numbers === undefined || ids === undefined || !allConstant(constants)) return undefined;
  // A scale for each column would have another axis after the look-up; one for all has none.
  if (constantOf(use.input(1))?.size !== 1) return undefined;
  return {
    kind: "embedding",
    x: ids,
    y: use.output(),
    packed: numbers,
    operand: 0,
    storedAs: "torch",
    quantized: {
      description: tensor.dtype,
      shape: tensor.dims,
      readByOperator: true,
      layout: plainLayout(tensor),
      constants,
      build: required(
        (b, [packed, scale, zero]) => packed && scale && dequantize(b, packed, { scale, zero }),
      ),
    },
  };
}

/** The float data that a value holds as whole numbers. */
function quantizedData(numbers: Value | undefined): Value | undefined {
  const node = numbers?.producer;
  const quantizes = node?.op === "DynamicQuantizeLinear" || node?.op === "QuantizeLinear";
  return quantizes && node.output(0) === numbers ? node.input(0) : undefined;
}

/** The scale that data was quantised with. */
function scaleOf(numbers: Value): Value | undefined {
  const node = numbers.producer;
  return node?.op === "DynamicQuantizeLinear" ? (node.outputs[1] ?? undefined) : node?.input(1);
}

/** Follows whole products through Cast and Mul by `scale` and a constant, in either order. */
function scaledBy(products: Value, scale: Value | undefined): { y: Value; scale: Value } | undefined {
  const cast = onlyReader(products);
  if (scale === undefined || cast?.op !== "Cast") return undefined;
  const first = otherFactor(onlyReader(cast.output()), cast.output());
  if (first === undefined) return undefined;
  const product = first.factor.producer;
  if (product?.op === "Mul") {
    const constant = otherFactor(product, scale)?.factor;
    return constantOf(constant) === undefined || constant === undefined
      ? undefined
      : { y: first.y, scale: constant };
  }
  const second = otherFactor(onlyReader(first.y), first.y);
  if (second === undefined) return undefined;
  const [left, right] = [first.factor, second.factor];
  const constant = left === scale ? right : right === scale ? left : undefined;
  return constantOf(constant) === undefined || constant === undefined
    ? undefined
    : { y: second.y, scale: constant };
}

function otherFactor(node: Node | undefined, one: Value): { y: Value; factor: Value } | undefined {
  if (node?.op !== "Mul") return undefined;
  const factor = node.input(0) === one ? node.input(1) : node.input(1) === one ? node.input(0) : undefined;
  return factor && { y: node.output(), factor };
}

/** Whether a constant has one element for each column of a product, or channel of a convolution. */
function runsAlong(value: Value, count: number | undefined, kind: "linear" | "conv"): boolean {
  const dims = constantOf(value)?.dims ?? [];
  const at = kind === "linear" ? dims.length - 1 : dims.length === 4 ? 1 : 0;
  return dims.every((dim, axis) => dim === (axis === at ? count : 1));
}

function allConstant(values: readonly (Value | undefined)[]): boolean {
  return values.every((value) => value === undefined || constantOf(value) !== undefined);
}

function required(build: OwnOperator["build"]): QuantizedWeight["build"] {
  return (b, constants) => {
    const value = build(b, constants);
    if (value === undefined) throw new InternalError("a quantised weight lacks its numbers or scales");
    return value;
  };
}
