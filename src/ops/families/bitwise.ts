/** Operations on the bits of whole numbers. */
import { InternalError } from "../../diagnostics/define.ts";
import { bitsOf, type DType } from "../../ir/dtype.ts";
import { defineOp, zero } from "../define.ts";
import { mapPair } from "../kernels/elementwise.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { defineUnary } from "../kernels/unary.ts";
import type { NDArray } from "../ndarray.ts";
import { text } from "../params.ts";
import type { Op } from "../record.ts";

const whole = zero("operands and result are whole numbers");

export const BitwiseAnd = defineBitwise("BitwiseAnd", (x, y) => x & y);
export const BitwiseOr = defineBitwise("BitwiseOr", (x, y) => x | y);
export const BitwiseXor = defineBitwise("BitwiseXor", (x, y) => x ^ y);

export const BitwiseNot = defineUnary({
  type: "BitwiseNot",
  versions: [18],
  attributes: {},
  precision: "exact",
  value: (x) => ~x,
  bigints: (x) => ~x,
  gradient: whole,
});

export const BitShift = defineOp({
  type: "BitShift",
  versions: [11, 28],
  downgrades: {
    28: ({ inputs: [x] }) => {
      const dtype = x?.tensorType?.dtype ?? "";
      if (dtype.startsWith("int"))
        throw new InternalError(`a shift of ${dtype}, which older versions do not take`);
    },
  },
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: { direction: text("") },
  infer: ({ node, in: { x, y } }) => [inferBroadcast(node, [x, y])],
  evaluate: ({ in: { x, y }, attrs: { direction }, exact }) => [
    mapBits(x, y, (a, b) => shift(a, b, direction === "LEFT", x.dtype), exact),
  ],
  precision: "exact",
  gradient: whole,
});

function defineBitwise(type: string, combine: (x: bigint, y: bigint) => bigint): Op {
  return defineOp({
    type,
    versions: [18],
    inputs: ["x", "y"],
    outputs: ["z"],
    attributes: {},
    infer: ({ node, in: { x, y } }) => [inferBroadcast(node, [x, y])],
    evaluate: ({ in: { x, y }, exact }) => [mapBits(x, y, combine, exact)],
    precision: "exact",
    gradient: whole,
  });
}

function mapBits(x: NDArray, y: NDArray, combine: (x: bigint, y: bigint) => bigint, exact: boolean): NDArray {
  const numbers = (a: number, b: number): number => Number(combine(BigInt(a), BigInt(b)));
  return mapPair(x, y, { numbers, bigints: combine }, { exact });
}

/** Shifts by less than nothing or by the whole width leave the sign only, as version 28 says. */
function shift(x: bigint, by: bigint, left: boolean, dtype: DType): bigint {
  const width = bitsOf(dtype);
  if (by < 0n || by >= BigInt(width)) return !left && x < 0n ? -1n : 0n;
  return left ? BigInt.asIntN(width, x << by) : x >> by;
}
