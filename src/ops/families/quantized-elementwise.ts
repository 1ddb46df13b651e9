/**
 * Operators of the runtime from quantised numbers to quantised numbers: QLinearAdd, QLinearMul, QLinearSigmoid, QLinearLeakyRelu,
 * QLinearSoftmax, QLinearConcat, QLinearWhere, QLinearAveragePool, QLinearGlobalAveragePool.
 *
 * Each is defined, evaluated and differentiated as a float operator between DequantizeLinear and QuantizeLinear; gradients pass the
 * numbers straight through.
 */
import { floatAttribute } from "../../ir/attribute.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { dequantize, quantize } from "../kernels/dequantize.ts";
import { byExpansion, inferByExpansion } from "../kernels/expanded.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { float, int } from "../params.ts";
import type { Op } from "../record.ts";

const domain = "com.microsoft";

/** Two operands that broadcast. */
function defineBinary(type: string, apply: (b: OpBuilder, x: Value, y: Value) => Value): Op {
  return defineOp({
    type,
    domain,
    versions: [1],
    inputs: ["a", "aScale", "aZero?", "b", "bScale", "bZero?", "cScale", "cZero?"],
    outputs: ["c"],
    attributes: {},
    infer: ({ node, in: { a, b } }) => [inferBroadcast(node, [a, b])],
    evaluate: byExpansion,
    precision: "exact",
    gradient: {
      kind: "expand",
      rule: ({ in: { a, aScale, aZero, b: other, bScale, bZero, cScale, cZero }, b }) => {
        const left = dequantize(b, a, { scale: aScale, zero: aZero });
        const right = dequantize(b, other, { scale: bScale, zero: bZero });
        return [quantize(b, apply(b, left, right), { scale: cScale, zero: cZero }, a)];
      },
    },
    quantized: { reads: ["a", "b"], makes: ["c"] },
  });
}

export const QLinearAdd = defineBinary("QLinearAdd", (b, x, y) => b.add(x, y));
export const QLinearMul = defineBinary("QLinearMul", (b, x, y) => b.mul(x, y));

/** One operand, whose shape stays. */
function defineActivation(
  type: string,
  attributes: Readonly<Record<string, ReturnType<typeof float> | ReturnType<typeof int>>>,
  apply: (b: OpBuilder, x: Value, attrs: Readonly<Record<string, number>>) => Value,
): Op {
  return defineOp({
    type,
    domain,
    versions: [1],
    inputs: ["x", "xScale", "xZero?", "yScale", "yZero?"],
    outputs: ["y"],
    attributes,
    infer: ({ in: { x, yZero } }) => {
      const dtype = yZero?.tensorType?.dtype ?? x.tensorType?.dtype;
      return [dtype && tensorType(dtype, x.tensorType?.shape)];
    },
    evaluate: byExpansion,
    precision: "exact",
    gradient: {
      kind: "expand",
      rule: ({ in: { x, xScale, xZero, yScale, yZero }, attrs, b }) => {
        const result = apply(b, dequantize(b, x, { scale: xScale, zero: xZero }), attrs);
        return [quantize(b, result, { scale: yScale, zero: yZero }, x)];
      },
    },
    quantized: { reads: ["x"], makes: ["y"] },
  });
}

export const QLinearSigmoid = defineActivation("QLinearSigmoid", {}, (b, x) => b.op("Sigmoid", [x]));
export const QLinearLeakyRelu = defineActivation("QLinearLeakyRelu", { alpha: float(0.01) }, (b, x, attrs) =>
  b.op("LeakyRelu", [x], { alpha: floatAttribute(attrs.alpha ?? 0.01) }),
);

/** Before opset 13 a Softmax takes all axes from `axis` on as one. */
export const QLinearSoftmax = defineActivation(
  "QLinearSoftmax",
  { axis: int(-1), opset: int(13) },
  (b, x, { axis = -1, opset = 13 }) => {
    const rank = rankOf(x);
    const first = axis < 0 ? axis + rank : axis;
    if (opset >= 13 || first === rank - 1) return b.op("Softmax", [x], { axis });
    const flat = b.op("Softmax", [b.op("Flatten", [x], { axis: first })], { axis: 1 });
    return b.reshape(flat, b.shape(x));
  },
);

/** Pools, whose channels come last where `channels_last` says so. */
function definePool(
  type: string,
  attributes: Readonly<Record<string, ReturnType<typeof int>>>,
  floatType: string,
): Op {
  return defineOp({
    type,
    domain,
    versions: [1],
    inputs: ["x", "xScale", "xZero?", "yScale", "yZero?"],
    outputs: ["y"],
    attributes: { channels_last: int(0), ...attributes },
    infer: ({ node, opset, in: { x } }) => {
      const [type] = inferByExpansion(node, opset);
      return [type ?? (x.tensorType && tensorType(x.tensorType.dtype))];
    },
    evaluate: byExpansion,
    precision: "exact",
    gradient: {
      kind: "expand",
      rule: ({ node, in: { x, xScale, xZero, yScale, yZero }, b }) => {
        const { channels_last: last, ...rest } = Object.fromEntries(node.attributes);
        const swaps = last !== undefined && node.int("channels_last", 0) !== 0;
        const rank = rankOf(x);
        const inner = Array.from({ length: rank - 2 }, (_, axis) => axis + 1);
        const real = dequantize(b, x, { scale: xScale, zero: xZero });
        const image = swaps ? b.transpose(real, [0, rank - 1, ...inner]) : real;
        const pooled = b.op(floatType, [image], rest);
        const result = swaps ? b.transpose(pooled, [0, ...inner.map((axis) => axis + 1), 1]) : pooled;
        return [quantize(b, result, { scale: yScale, zero: yZero }, x)];
      },
    },
    quantized: { reads: ["x"], makes: ["y"] },
  });
}

export const QLinearAveragePool = definePool("QLinearAveragePool", {}, "AveragePool");
export const QLinearGlobalAveragePool = definePool("QLinearGlobalAveragePool", {}, "GlobalAveragePool");

/** Operands come as numbers, scale and zero point each. */
export const QLinearConcat = defineOp({
  type: "QLinearConcat",
  domain,
  versions: [1],
  inputs: ["yScale", "yZero", "parts..."],
  outputs: ["y"],
  attributes: { axis: int(0) },
  infer: ({ node, opset, in: { yZero } }) => {
    const [type] = inferByExpansion(node, opset);
    return [type ?? (yZero.tensorType && tensorType(yZero.tensorType.dtype))];
  },
  evaluate: byExpansion,
  precision: "exact",
  gradient: {
    kind: "expand",
    rule: ({ in: { yScale, yZero, parts }, attrs: { axis }, b }) => {
      const real = parts.flatMap((numbers, at) =>
        at % 3 === 0 ? [dequantize(b, numbers, { scale: parts[at + 1], zero: parts[at + 2] })] : [],
      );
      return [quantize(b, b.op("Concat", real, { axis }), { scale: yScale, zero: yZero }, yZero)];
    },
  },
  quantized: { reads: ["parts"], makes: ["y"] },
});

export const QLinearWhere = defineOp({
  type: "QLinearWhere",
  domain,
  versions: [1],
  inputs: ["condition", "x", "xScale", "xZero", "y", "yScale", "yZero", "zScale", "zZero"],
  outputs: ["z"],
  attributes: {},
  infer: ({ node, in: { condition, x, y } }) => [inferBroadcast(node, [x, condition, y])],
  evaluate: byExpansion,
  precision: "exact",
  gradient: {
    kind: "expand",
    rule: ({ in: { condition, x, xScale, xZero, y, yScale, yZero, zScale, zZero }, b }) => {
      const left = dequantize(b, x, { scale: xScale, zero: xZero });
      const right = dequantize(b, y, { scale: yScale, zero: yZero });
      return [quantize(b, b.where(condition, left, right), { scale: zScale, zero: zZero }, zZero)];
    },
  },
  quantized: { reads: ["x", "y"], makes: ["z"] },
});
