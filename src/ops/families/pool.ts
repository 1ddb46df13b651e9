/** Pools over sliding windows and over all places: MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool. */
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { maximum } from "../kernels/extremum.ts";
import { partsOfFirstAxis } from "../kernels/parts.ts";
import { averagePool, columnMajor, maxPool } from "../kernels/pool.ts";
import { averagePoolGradient } from "../kernels/pool-gradient.ts";
import { inferGlobal, inferPool, poolKernel, spatialAxes } from "../kernels/pool-shape.ts";
import { putBack } from "../kernels/positions.ts";
import { reduceArray } from "../kernels/reduce.ts";
import { knownWindows, type WindowAttributes } from "../kernels/window.ts";
import { poolParams } from "../kernels/window-params.ts";
import { fromNumbers } from "../ndarray.ts";
import { int } from "../params.ts";

export const MaxPool = defineOp({
  type: "MaxPool",
  versions: [1, 8, 10, 11, 12, 22],
  inputs: ["x"],
  ranks: { x: [3] },
  outputs: ["y", "indices?"],
  attributes: { ...poolParams, storage_order: int(0) },
  infer: ({ node, in: { x }, attrs }) => {
    const type = inferPool(node, x.tensorType, attrs);
    return [type, type && tensorType("int64", type.shape)];
  },
  evaluate: ({ node, in: { x }, attrs }) => {
    const sizes = x.shape.slice(2);
    const { values, at } = maxPool(x, knownWindows(attrs, poolKernel(node, attrs), sizes));
    return [
      values,
      fromNumbers("int64", values.shape, attrs.storage_order === 0 ? at : columnMajor(at, sizes)),
    ];
  },
  parts: partsOfFirstAxis,
  precision: "follow",
  // Each maximum gives its gradient to the element that it was taken from.
  gradient: ({ in: { x }, out: { indices }, attrs, grad, b }) => ({
    x: () => {
      const known = attrs.storage_order === 0 ? indices : undefined;
      const again = { ...attrs, storage_order: undefined };
      const places = known ?? b.ops("MaxPool", [x], again, 2)[1];
      const overlap = attrs.kernel_shape?.some(
        (kernel, axis) => kernel > 1 && !leavesGap(attrs, kernel, axis),
      );
      return putBack(b, x, grad.y, places ?? grad.y, overlap ?? true);
    },
  }),
  quantized: { reads: ["x"], makes: ["y"] },
});

export const AveragePool = defineOp({
  type: "AveragePool",
  versions: [1, 7, 10, 11, 19, 22],
  inputs: ["x"],
  ranks: { x: [3] },
  outputs: ["y"],
  attributes: { ...poolParams, count_include_pad: int(0) },
  infer: ({ node, in: { x }, attrs }) => [inferPool(node, x.tensorType, attrs)],
  evaluate: ({ node, in: { x }, attrs, exact }) => {
    const axes = knownWindows(attrs, poolKernel(node, attrs), x.shape.slice(2));
    return [averagePool(x, axes, attrs.count_include_pad !== 0, exact)];
  },
  parts: partsOfFirstAxis,
  precision: "follow",
  gradient: ({ node, in: { x }, attrs, grad, b }) => ({
    x: () => averagePoolGradient(b, node, x, grad.y, attrs, poolKernel(node, attrs)),
  }),
});

export const GlobalMaxPool = defineOp({
  type: "GlobalMaxPool",
  versions: [1, 22],
  inputs: ["x"],
  ranks: { x: [3] },
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => [inferGlobal(x)],
  evaluate: ({ in: { x }, exact }) => {
    const fold = { start: Number.NEGATIVE_INFINITY, step: maximum.numbers };
    return [reduceArray(x, { axes: spatialAxes(x.rank), keepdims: true, exact }, fold)];
  },
  parts: partsOfFirstAxis,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { x }, b }) => [b.reduceMax(x, spatialAxes(rankOf(x)))],
  },
});

export const GlobalAveragePool = defineOp({
  type: "GlobalAveragePool",
  versions: [1, 22],
  inputs: ["x"],
  ranks: { x: [3] },
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => [inferGlobal(x)],
  evaluate: ({ in: { x }, exact }) => {
    const fold = {
      start: 0,
      step: (sum: number, v: number) => sum + v,
      finish: (sum: number, n: number) => sum / n,
    };
    return [reduceArray(x, { axes: spatialAxes(x.rank), keepdims: true, exact }, fold)];
  },
  parts: partsOfFirstAxis,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ in: { x }, b }) => [b.reduceMean(x, spatialAxes(rankOf(x)))],
  },
});

/** Whether no element lies in two windows along the axis. */
function leavesGap(attrs: WindowAttributes, kernel: number, axis: number): boolean {
  return (attrs.strides?.[axis] ?? 1) >= (attrs.dilations?.[axis] ?? 1) * (kernel - 1) + 1;
}
