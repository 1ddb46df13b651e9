/** Element-wise functions of one operand: signs, roots, exponentials and rounding. */
import { mulDims } from "../../ir/dim.ts";
import { zero } from "../define.ts";
import { erf } from "../kernels/erf.ts";
import { defineUnary } from "../kernels/unary.ts";

const steps = zero("the result is constant between its steps");

export const Neg = defineUnary({
  type: "Neg",
  versions: [1, 6, 13],
  attributes: {},
  precision: "follow",
  value: (x) => -x,
  bigints: (x) => -x,
  content: (x) => mulDims(x, -1),
  gradient: ({ g, b }) => b.neg(g),
});

export const Abs = defineUnary({
  type: "Abs",
  versions: [1, 6, 13],
  attributes: {},
  precision: "follow",
  value: Math.abs,
  bigints: (x) => (x < 0n ? -x : x),
  // 0 at 0
  gradient: ({ x, g, b }) => b.mul(g, b.sign(x)),
});

export const Sign = defineUnary({
  type: "Sign",
  versions: [9, 13],
  attributes: {},
  precision: "follow",
  value: Math.sign,
  bigints: (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n),
  gradient: steps,
});

export const Sqrt = defineUnary({
  type: "Sqrt",
  versions: [1, 6, 13],
  attributes: {},
  precision: "follow",
  value: Math.sqrt,
  gradient: ({ y, g, b }) => b.div(b.mul(g, 0.5), y),
});

export const Reciprocal = defineUnary({
  type: "Reciprocal",
  versions: [1, 6, 13],
  attributes: {},
  precision: "full",
  value: (x) => 1 / x,
  gradient: ({ y, g, b }) => b.neg(b.mul(g, b.mul(y, y))),
});

export const Exp = defineUnary({
  type: "Exp",
  versions: [1, 6, 13],
  attributes: {},
  precision: "full",
  value: Math.exp,
  gradient: ({ y, g, b }) => b.mul(g, y),
});

export const Log = defineUnary({
  type: "Log",
  versions: [1, 6, 13],
  attributes: {},
  precision: "full",
  value: Math.log,
  gradient: ({ x, g, b }) => b.div(g, x),
});

export const Erf = defineUnary({
  type: "Erf",
  versions: [9, 13],
  attributes: {},
  precision: "follow",
  value: erf,
  // 2/sqrt(pi) e^(-x^2)
  gradient: ({ x, g, b }) => b.mul(g, b.mul(b.exp(b.neg(b.mul(x, x))), 2 / Math.sqrt(Math.PI))),
});

export const Floor = defineUnary({
  type: "Floor",
  versions: [1, 6, 13],
  attributes: {},
  precision: "follow",
  value: Math.floor,
  gradient: steps,
});

export const Ceil = defineUnary({
  type: "Ceil",
  versions: [1, 6, 13],
  attributes: {},
  precision: "follow",
  value: Math.ceil,
  gradient: steps,
});

export const Round = defineUnary({
  type: "Round",
  versions: [11, 22],
  attributes: {},
  precision: "follow",
  value: roundHalfToEven,
  gradient: steps,
});

function roundHalfToEven(x: number): number {
  const below = Math.floor(x);
  const rest = x - below;
  if (rest !== 0.5) return rest < 0.5 ? below : below + 1;
  return below % 2 === 0 ? below : below + 1;
}
