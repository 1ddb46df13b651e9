/** Pools that take the p-norm: LpPool over windows, GlobalLpPool over all places. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { mapNumbers } from "../kernels/elementwise.ts";
import { windowSums } from "../kernels/pool.ts";
import { spreadOverWindows } from "../kernels/pool-gradient.ts";
import { inferGlobal, inferPool, poolKernel, spatialAxes } from "../kernels/pool-shape.ts";
import { reduceArray } from "../kernels/reduce.ts";
import { explicitPadding } from "../kernels/same-padding.ts";
import { knownWindows } from "../kernels/window.ts";
import { poolParams } from "../kernels/window-params.ts";
import { counts, int } from "../params.ts";

/** `(sum |x|^p)^(1/p)` over each window. Where a norm is 0 its derivative is taken for 0. */
export const LpPool = defineOp({
  type: "LpPool",
  versions: [1, 2, 11, 18, 22],
  inputs: ["x"],
  ranks: { x: [3] },
  outputs: ["y"],
  attributes: { ...poolParams, p: int(2, counts) },
  infer: ({ node, in: { x }, attrs }) => {
    checkPower(node, attrs.p);
    return [inferPool(node, x.tensorType, attrs)];
  },
  evaluate: ({ node, in: { x }, attrs, exact }) => {
    const axes = knownWindows(attrs, poolKernel(node, attrs), x.shape.slice(2));
    const powers = mapNumbers(x, (element) => Math.abs(element) ** attrs.p, { exact: true });
    return [mapNumbers(windowSums(powers, axes), (sum) => sum ** (1 / attrs.p), { exact })];
  },
  precision: "full",
  gradient: ({ node, in: { x }, out: { y }, attrs, grad, b }) => ({
    x: () => {
      const kernel = poolKernel(node, attrs);
      const windows = explicitPadding(b, node, x, attrs, kernel);
      const spread = spreadOverWindows(b, x, normShare(b, y, grad.y, attrs.p), windows, kernel, 1);
      return b.mul(spread, powerSlope(b, x, attrs.p));
    },
  }),
});

/** The same over all places. */
export const GlobalLpPool = defineOp({
  type: "GlobalLpPool",
  versions: [1, 2, 22],
  inputs: ["x"],
  ranks: { x: [3] },
  outputs: ["y"],
  attributes: { p: int(2, counts) },
  infer: ({ node, in: { x }, attrs: { p } }) => {
    checkPower(node, p);
    return [inferGlobal(x)];
  },
  evaluate: ({ in: { x }, attrs: { p }, exact }) => {
    const fold = {
      start: 0,
      step: (sum: number, v: number) => sum + Math.abs(v) ** p,
      finish: (sum: number) => sum ** (1 / p),
    };
    return [reduceArray(x, { axes: spatialAxes(x.rank), keepdims: true, exact }, fold)];
  },
  precision: "full",
  gradient: ({ in: { x }, out: { y }, attrs: { p }, grad, b }) => ({
    x: () => b.mul(normShare(b, y, grad.y, p), powerSlope(b, x, p)),
  }),
});

function checkPower(node: Node, p: number): void {
  if (p < 1) throw operatorErrors.E_BAD_ATTRIBUTE(node, "p", "1 or more", `${p}`);
}

/** `g y^(1-p)`, what each element of a window gets times the slope of its own power. */
function normShare(b: OpBuilder, y: Value, g: Value, p: number): Value {
  if (p === 1) return g;
  const isZero = b.equal(y, 0);
  const safe = b.where(isZero, 1, y);
  return b.where(isZero, 0, b.div(g, p === 2 ? safe : b.pow(safe, p - 1)));
}

/** `sign(x) |x|^(p-1)`. */
function powerSlope(b: OpBuilder, x: Value, p: number): Value {
  if (p === 2) return x;
  return p === 1 ? b.sign(x) : b.mul(b.sign(x), b.pow(b.abs(x), p - 1));
}
