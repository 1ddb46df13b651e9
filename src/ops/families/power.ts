/** Pow and Mod. */

import { constantOf } from "../../ir/constant.ts";
import { type Dim, modDims, mulDims, unknownDim } from "../../ir/dim.ts";
import { isFloat } from "../../ir/dtype.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf } from "../facts.ts";
import { broadcastTo, commonShape, mapPair } from "../kernels/elementwise.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { partsOfElements } from "../kernels/parts.ts";
import { replaceNode } from "../kernels/replace-node.ts";
import { selectElements } from "../kernels/select-along.ts";
import { fromNumbers, fromTensor, NDArray } from "../ndarray.ts";
import { int } from "../params.ts";

export const Pow = defineOp({
  type: "Pow",
  versions: [1, 7, 12, 13, 15],
  inputs: ["x", "exponent"],
  outputs: ["y"],
  attributes: {},
  select: selectElements,
  parts: partsOfElements,
  infer: ({ node, in: { x, exponent } }) => [inferBroadcast(node, [x, exponent], undefined, powerOfDims)],
  evaluate: ({ in: { x, exponent }, exact }) => [evaluatePower(x, exponent, exact)],
  precision: "full",
  gradient: ({ in: { x, exponent }, out: { y }, grad: { y: g }, b }) => ({
    x: () => b.mul(g, slopeInBase(b, x, exponent)),
    // y log(x), and 0 where x is 0 and stays so in a neighbourhood of the exponent.
    exponent: () => {
      const e = b.castLike(exponent, x);
      const flat = b.and(b.equal(x, 0), b.greaterOrEqual(e, 0));
      return b.castLike(b.where(flat, 0, b.mul(g, b.mul(y, b.log(x)))), exponent);
    },
  }),
  rankFree: true,
});

export const Mod = defineOp({
  type: "Mod",
  versions: [10, 13, 28],
  inputs: ["x", "y"],
  outputs: ["z"],
  attributes: { fmod: int(0) },
  // Version 28 lets fmod = 0 take floats: C's remainder, moved to the sign of the divisor.
  downgrades: {
    28: (node, b) => {
      const [x, y] = node.inputs;
      if (x == null || y == null || node.int("fmod", 0) !== 0 || !isFloat(dtypeOf(x))) return;
      const rest = b.op("Mod", [x, y], { fmod: 1 });
      const apart = b.less(b.mul(b.sign(rest), b.sign(y)), 0);
      replaceNode(node, [b.where(apart, b.add(rest, y), rest)]);
    },
  },
  infer: ({ node, in: { x, y }, attrs: { fmod } }) => [
    inferBroadcast(node, [x, y], undefined, fmod === 0 ? modDims : undefined),
  ],
  // fmod = 0 has the sign of the divisor (Python's %), fmod = 1 that of the dividend (C).
  evaluate: ({ in: { x, y }, attrs: { fmod }, exact }) => [
    mapPair(
      x,
      y,
      {
        numbers: fmod === 0 ? floorModulo : (a, b) => a % b,
        bigints: fmod === 0 ? (a, b) => ((a % b) + b) % b : (a, b) => a % b,
      },
      { exact },
    ),
  ],
  precision: "full",
  // z = x - n y with n constant between the jumps.
  gradient: ({ in: { x, y }, attrs: { fmod }, grad: { z: g }, b }) => ({
    x: () => g,
    y: () => b.neg(b.mul(g, wholeQuotient(b, b.div(x, y), fmod !== 0))),
  }),
});

/** dy/dx: e x^(e-1), and 0 where the exponent is 0. Small whole exponents are written as products. */
function slopeInBase(b: OpBuilder, x: Value, exponent: Value): Value {
  const constant = constantOf(exponent);
  const e = constant !== undefined && constant.size === 1 ? fromTensor(constant).toNumbers()[0] : undefined;
  switch (e) {
    case undefined: {
      const variable = b.castLike(exponent, x);
      return b.where(b.equal(variable, 0), 0, b.mul(variable, b.pow(x, b.sub(variable, 1))));
    }
    case 0:
      return b.zerosLike(x);
    case 1:
      return b.fillLike(x, 1);
    case 2:
      return b.mul(x, 2);
    case 3:
      return b.mul(b.mul(x, x), 3);
    default:
      return b.mul(b.pow(x, e - 1), e);
  }
}

function wholeQuotient(b: OpBuilder, quotient: Value, towardsZero: boolean): Value {
  if (!towardsZero) return b.op("Floor", [quotient]);
  return b.mul(b.sign(quotient), b.op("Floor", [b.abs(quotient)]));
}

function floorModulo(x: number, y: number): number {
  const rest = x % y;
  return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest;
}

function powerOfDims(base: Dim, exponent: Dim): Dim {
  if (typeof exponent !== "number" || exponent < 0 || exponent > 8) return unknownDim();
  return Array.from({ length: exponent }, () => base).reduce<Dim>(mulDims, 1);
}

/** The types of base and exponent may differ; the result has that of the base. */
function evaluatePower(x: NDArray, exponent: NDArray, exact: boolean): NDArray {
  const shape = commonShape(x.shape, exponent.shape);
  const [bases, exponents] = [broadcastTo(x, shape), broadcastTo(exponent, shape)];
  const powers = exponents.toNumbers();
  if (bases.data instanceof BigInt64Array || bases.data instanceof BigUint64Array) {
    const results = Array.from<bigint, bigint>(bases.data, (base, i) => wholePower(base, powers[i] ?? 0));
    return new NDArray(
      x.dtype,
      shape,
      bases.data instanceof BigInt64Array ? BigInt64Array.from(results) : BigUint64Array.from(results),
    );
  }
  return fromNumbers(
    x.dtype,
    shape,
    bases.numbers.map((base, i) => base ** (powers[i] ?? 0)),
    exact,
  );
}

function wholePower(base: bigint, exponent: number): bigint {
  if (Number.isInteger(exponent) && exponent >= 0) return base ** BigInt(exponent);
  return BigInt(Math.trunc(Number(base) ** exponent));
}
