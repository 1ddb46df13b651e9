/** Arithmetic on two broadcast operands: Add, Sub, Mul, Div. */
import { addDims, floorDivDims, mulDims, subDims } from "../../ir/dim.ts";
import { isFloat } from "../../ir/dtype.ts";
import { defineOp } from "../define.ts";
import { mapPair } from "../kernels/elementwise.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";

const versions = [1, 6, 7, 13, 14];

export const Add = defineOp({
  type: "Add",
  versions,
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: {},
  infer: ({ in: { x, y } }) => [inferBroadcast([x, y], undefined, addDims)],
  evaluate: ({ in: { x, y }, exact }) => [
    mapPair(x, y, { numbers: (a, b) => a + b, bigints: (a, b) => a + b }, { exact }),
  ],
  precision: "follow",
  gradient: ({ grad }) => ({ x: () => grad.z, y: () => grad.z }),
});

export const Sub = defineOp({
  type: "Sub",
  versions,
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: {},
  infer: ({ in: { x, y } }) => [inferBroadcast([x, y], undefined, subDims)],
  evaluate: ({ in: { x, y }, exact }) => [
    mapPair(x, y, { numbers: (a, b) => a - b, bigints: (a, b) => a - b }, { exact }),
  ],
  precision: "follow",
  gradient: ({ grad, b }) => ({ x: () => grad.z, y: () => b.neg(grad.z) }),
});

export const Mul = defineOp({
  type: "Mul",
  versions,
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: {},
  infer: ({ in: { x, y } }) => [inferBroadcast([x, y], undefined, mulDims)],
  evaluate: ({ in: { x, y }, exact }) => [
    mapPair(x, y, { numbers: (a, b) => a * b, bigints: (a, b) => a * b }, { exact }),
  ],
  precision: "follow",
  gradient: ({ in: { x, y }, grad, b }) => ({ x: () => b.mul(grad.z, y), y: () => b.mul(grad.z, x) }),
});

export const Div = defineOp({
  type: "Div",
  versions,
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: {},
  infer: ({ in: { x, y } }) => [inferBroadcast([x, y], undefined, floorDivDims)],
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
  // d(x/y)/dy = -(x/y)/y
  gradient: ({ in: { y }, out: { z }, grad, b }) => ({
    x: () => b.div(grad.z, y),
    y: () => b.neg(b.div(b.mul(grad.z, z), y)),
  }),
});
