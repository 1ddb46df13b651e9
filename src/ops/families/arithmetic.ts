/** Arithmetic on two broadcast operands: Add, Sub, Mul, Div. */
import { addDims, type Dim, floorDivDims, mulDims, subDims, unknownDim } from "../../ir/dim.ts";
import { isNonNegative } from "../../ir/dim-sign.ts";
import { isFloat } from "../../ir/dtype.ts";
import { defineOp } from "../define.ts";
import { mapPair } from "../kernels/elementwise.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { partsOfProduct, partsOfQuotient, partsOfSum } from "../kernels/parts.ts";
import { selectElements } from "../kernels/select-along.ts";

const versions = [1, 6, 7, 13, 14];

export const Add = defineOp({
  type: "Add",
  versions,
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: {},
  infer: ({ node, in: { x, y } }) => [inferBroadcast(node, [x, y], undefined, addDims)],
  evaluate: ({ in: { x, y }, exact }) => [
    mapPair(x, y, { numbers: (a, b) => a + b, bigints: (a, b) => a + b }, { exact }),
  ],
  precision: "follow",
  select: selectElements,
  parts: partsOfSum,
  rankFree: true,
  gradient: ({ grad }) => ({ x: () => grad.z, y: () => grad.z }),
});

export const Sub = defineOp({
  type: "Sub",
  versions,
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: {},
  infer: ({ node, in: { x, y } }) => [inferBroadcast(node, [x, y], undefined, subDims)],
  evaluate: ({ in: { x, y }, exact }) => [
    mapPair(x, y, { numbers: (a, b) => a - b, bigints: (a, b) => a - b }, { exact }),
  ],
  precision: "follow",
  select: selectElements,
  parts: partsOfSum,
  rankFree: true,
  gradient: ({ grad, b }) => ({ x: () => grad.z, y: () => b.neg(grad.z) }),
});

export const Mul = defineOp({
  type: "Mul",
  versions,
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: {},
  infer: ({ node, in: { x, y } }) => [inferBroadcast(node, [x, y], undefined, mulDims)],
  evaluate: ({ in: { x, y }, exact }) => [
    mapPair(x, y, { numbers: (a, b) => a * b, bigints: (a, b) => a * b }, { exact }),
  ],
  precision: "follow",
  select: selectElements,
  parts: partsOfProduct,
  rankFree: true,
  gradient: ({ in: { x, y }, grad, b }) => ({ x: () => b.mul(grad.z, y), y: () => b.mul(grad.z, x) }),
});

/** Integer division of sizes. The floor is not the quotient that Div gives where an operand is below 0. */
function truncatedQuotient(left: Dim, right: Dim): Dim {
  if (typeof left === "number" && typeof right === "number" && right !== 0)
    return Math.trunc(left / right) || 0;
  return isNonNegative(left) && isNonNegative(right) ? floorDivDims(left, right) : unknownDim();
}

export const Div = defineOp({
  type: "Div",
  versions,
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: {},
  infer: ({ node, in: { x, y } }) => [inferBroadcast(node, [x, y], undefined, truncatedQuotient)],
  // Integer division truncates towards zero, as the runtime and C do.
  evaluate: ({ in: { x, y }, exact }) => [
    mapPair(
      x,
      y,
      { numbers: (a, b) => (isFloat(x.dtype) ? a / b : Math.trunc(a / b)), bigints: (a, b) => a / b },
      { exact },
    ),
  ],
  precision: "follow",
  select: selectElements,
  parts: partsOfQuotient,
  rankFree: true,
  // d(x/y)/dy = -(x/y)/y
  gradient: ({ in: { y }, out: { z }, grad, b }) => ({
    x: () => b.div(grad.z, y),
    y: () => b.neg(b.div(b.mul(grad.z, z), y)),
  }),
});
