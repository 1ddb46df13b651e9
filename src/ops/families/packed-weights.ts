/**
 * Products and look-ups with weights that several share a byte: MatMulNBits, MatMulBnb4, GatherBlockQuantized.
 *
 * Forward runs the operator; backward multiplies by the weight that the graph dequantises again. The runtime may quantise the
 * data, too (`accuracy_level` 4): the gradient is the one of exact data.
 */
import { InternalError } from "../../diagnostics/define.ts";
import { operatorErrors } from "../../diagnostics/operator.ts";
import { unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf, rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { matmulFlops } from "../kernels/flops.ts";
import { once } from "../kernels/once.ts";
import {
  type BlockAttributes,
  blockTable,
  blockWeight,
  fourBitWeight,
  sumBlocks,
} from "../kernels/packed-weights.ts";
import { sumByScale } from "../kernels/quantize-axis.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { reshapeLike, stateShape } from "../kernels/shape-vector.ts";
import { amounts, counts, int } from "../params.ts";

const blockParams = {
  K: int(0, amounts),
  N: int(0, amounts),
  bits: int(4, { least: 1, most: 8 }),
  block_size: int(0, amounts),
  accuracy_level: int(0),
  weight_prepacked: int(0),
};

const ungrouped =
  "it is deprecated, and the runtime's CPU kernel reads only the first eight entries of each block";

export const MatMulNBits = defineOp({
  type: "MatMulNBits",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["a", "packed", "scales", "zeros?", "groups?", "bias?"],
  ranks: { a: [1], groups: 1, bias: 1 },
  outputs: ["y"],
  attributes: blockParams,
  infer: ({ node, in: { a }, attrs }) => {
    checkBlocks(node, attrs);
    const type = a.tensorType;
    return [type && tensorType(type.dtype, type.shape?.with(-1, attrs.N))];
  },
  evaluate: ({ node, in: operands, attrs, ...env }) => {
    const { a, packed, scales, zeros, groups, bias } = operands;
    if (groups !== undefined) throw new InternalError(`MatMulNBits with g_idx: ${ungrouped}`);
    return byExpansion.run(node, [a, packed, scales, zeros, groups, bias], env, ({ inputs }, b) => {
      const [x, bytes, factors, points, , added] = inputs;
      if (x == null || bytes == null || factors == null) return [null];
      const constants = { packed: bytes, scales: factors, zeros: points ?? undefined };
      const product = timesTransposed(b, x, blockWeight(b, constants, attrs).weight());
      return [added == null ? product : b.add(product, added)];
    });
  },
  precision: "low",
  cost: { flops: ({ in: { a }, out: { y } }) => matmulFlops(a, y) },
  gradient: ({ node, in: { a, packed, scales, zeros, groups }, attrs, grad, b }) => {
    if (groups !== undefined)
      throw operatorErrors.E_OPERATOR_FORM(node, `g_idx: ${ungrouped}`, "no operand g_idx");
    const built = once(() => blockWeight(b, { packed, scales, zeros }, attrs));
    const weightGradient = once(() => b.cast(transposedTimes(b, [grad.y, attrs.N], [a, attrs.K]), "float32"));
    return {
      a: () => stateShape(b.matmul(grad.y, b.castLike(built().weight(), grad.y)), a),
      scales: () => {
        const sums = sumBlocks(b, b.mul(weightGradient(), built().shifted()), attrs);
        return b.castLike(reshapeLike(b, sums, scales), scales);
      },
      // Of floats; those that are packed carry no gradient.
      zeros: () => {
        const sums = sumBlocks(b, b.neg(b.mul(weightGradient(), built().scales())), attrs);
        return zeros === undefined ? sums : b.castLike(reshapeLike(b, sums, zeros), zeros);
      },
      bias: () => grad.y,
    };
  },
});

/** `y = a @ W^T` for W of (N, K), or `a @ W` where `transB` is 0; W is flattened row by row before it is cut into blocks. */
export const MatMulBnb4 = defineOp({
  type: "MatMulBnb4",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["a", "packed", "absmax"],
  ranks: { a: [1], packed: 1, absmax: 1 },
  outputs: ["y"],
  attributes: {
    K: int(0, amounts),
    N: int(0, amounts),
    block_size: int(0, amounts),
    quant_type: int(1),
    training_mode: int(0),
    transB: int(1),
  },
  infer: ({ node, in: { a }, attrs }) => {
    if (attrs.quant_type !== 0 && attrs.quant_type !== 1)
      throw operatorErrors.E_BAD_ATTRIBUTE(
        node,
        "quant_type",
        "0 (FP4) or 1 (NF4)",
        String(attrs.quant_type),
      );
    const type = a.tensorType;
    return [type && tensorType(type.dtype, type.shape?.with(-1, attrs.transB === 0 ? attrs.K : attrs.N))];
  },
  evaluate: ({ node, in: { a, packed, absmax }, attrs, ...env }) =>
    byExpansion.run(node, [a, packed, absmax], env, ({ inputs }, b) => {
      const [x, bytes, scales] = inputs;
      if (x == null || bytes == null || scales == null) return [null];
      const { weight } = fourBitWeight(b, bytes, scales, attrs);
      return [attrs.transB === 0 ? b.matmul(x, b.castLike(weight, x)) : timesTransposed(b, x, weight)];
    }),
  precision: "low",
  cost: { flops: ({ in: { a }, out: { y } }) => matmulFlops(a, y) },
  gradient: ({ node, in: { a, packed, absmax }, attrs, grad, b }) => {
    const built = once(() => fourBitWeight(b, packed, absmax, attrs));
    const straight = attrs.transB !== 0;
    return {
      a: () => {
        const { weight } = built();
        const g = straight
          ? b.matmul(grad.y, b.castLike(weight, grad.y))
          : timesTransposed(b, grad.y, weight);
        return stateShape(g, a);
      },
      absmax: () => {
        const byWeight = straight
          ? transposedTimes(b, [grad.y, attrs.N], [a, attrs.K])
          : transposedTimes(b, [a, attrs.N], [grad.y, attrs.K]);
        const products = b.mul(b.reshape(b.cast(byWeight, "float32"), [-1]), built().codes);
        const sums = sumByScale(b, node, products, absmax, { axis: 0, block_size: attrs.block_size });
        return b.castLike(sums, absmax);
      },
    };
  },
});

/** Rows of a table in blocks; the gradient of its scales is the one of looking up in the dequantised table. */
export const GatherBlockQuantized = defineOp({
  type: "GatherBlockQuantized",
  domain: "com.microsoft",
  versions: [1],
  inputs: ["data", "indices", "scales", "zeros?"],
  outputs: ["y"],
  attributes: {
    bits: int(4, { least: 1, most: 8 }),
    block_size: int(128, counts),
    gather_axis: int(0),
    quantize_axis: int(1),
  },
  infer: ({ node, in: { data, indices, scales }, attrs }) => {
    const [type, places] = [data.tensorType, indices.tensorType?.shape];
    const dtype = scales.tensorType?.dtype;
    if (dtype === undefined || type?.shape === undefined || places === undefined)
      return [dtype && tensorType(dtype)];
    const axis = axisOf(node, attrs.gather_axis, type.shape.length);
    const last = type.shape.at(-1) ?? unknownDim();
    const wide = type.dtype === "uint8" && typeof last === "number" ? (last * 8) / attrs.bits : last;
    return [tensorType(dtype, [...type.shape.with(-1, wide).toSpliced(axis, 1, ...places)])];
  },
  evaluate: byExpansion,
  precision: "exact",
  gradient: {
    kind: "expand",
    rule: ({ in: { data, indices, scales, zeros }, attrs, b }) => {
      const { bits, block_size, quantize_axis: axis } = attrs;
      const table = blockTable(b, { data, scales, zeros }, { bits, block_size, axis });
      return [b.gather(table, indices, attrs.gather_axis)];
    },
  },
});

/** @throws DiagnosticError E_BAD_ATTRIBUTE for layouts that are not those of the schema. */
function checkBlocks(node: Node, attrs: BlockAttributes & { readonly weight_prepacked: number }): void {
  if (![2, 4, 8].includes(attrs.bits))
    throw operatorErrors.E_BAD_ATTRIBUTE(node, "bits", "2, 4 or 8", String(attrs.bits));
  if (attrs.block_size < 1 || attrs.K < 1 || attrs.N < 1)
    throw operatorErrors.E_BAD_ATTRIBUTE(
      node,
      "block_size, K and N",
      "1 or more",
      `${attrs.block_size}, ${attrs.K} and ${attrs.N}`,
    );
  if (attrs.weight_prepacked !== 0)
    throw operatorErrors.E_BAD_ATTRIBUTE(
      node,
      "weight_prepacked",
      "0: weights in the layout that all providers read",
      String(attrs.weight_prepacked),
    );
}

/** `x @ w^T` for a matrix `w`. */
function timesTransposed(b: OpBuilder, x: Value, w: Value): Value {
  return b.matmul(x, b.transpose(b.castLike(w, x), [1, 0]));
}

/** `x^T @ y` over all axes but the last, whose sizes are given. */
function transposedTimes(
  b: OpBuilder,
  [x, rows]: readonly [Value, number],
  [y, columns]: readonly [Value, number],
): Value {
  const matrix = (value: Value, size: number): Value =>
    rankOf(value) === 2 ? value : b.reshape(value, [-1, size]);
  return b.op("Gemm", [matrix(x, rows), matrix(b.cast(y, dtypeOf(x)), columns)], { transA: 1 });
}
