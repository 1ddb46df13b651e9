/** Trigonometric and hyperbolic functions and their inverses. */
import { defineUnary } from "../kernels/unary.ts";

export const Sin = defineUnary({
  type: "Sin",
  versions: [7, 22],
  attributes: {},
  precision: "follow",
  value: Math.sin,
  gradient: ({ x, g, b }) => b.mul(g, b.op("Cos", [x])),
});

export const Cos = defineUnary({
  type: "Cos",
  versions: [7, 22],
  attributes: {},
  precision: "follow",
  value: Math.cos,
  gradient: ({ x, g, b }) => b.neg(b.mul(g, b.op("Sin", [x]))),
});

export const Tan = defineUnary({
  type: "Tan",
  versions: [7, 22],
  attributes: {},
  precision: "full",
  value: Math.tan,
  // 1 + y^2
  gradient: ({ y, g, b }) => b.mul(g, b.add(b.mul(y, y), 1)),
});

export const Asin = defineUnary({
  type: "Asin",
  versions: [7, 22],
  attributes: {},
  precision: "full",
  value: Math.asin,
  gradient: ({ x, g, b }) => b.div(g, b.sqrt(b.sub(1, b.mul(x, x)))),
});

export const Acos = defineUnary({
  type: "Acos",
  versions: [7, 22],
  attributes: {},
  precision: "full",
  value: Math.acos,
  gradient: ({ x, g, b }) => b.neg(b.div(g, b.sqrt(b.sub(1, b.mul(x, x))))),
});

export const Atan = defineUnary({
  type: "Atan",
  versions: [7, 22],
  attributes: {},
  precision: "follow",
  value: Math.atan,
  gradient: ({ x, g, b }) => b.div(g, b.add(b.mul(x, x), 1)),
});

export const Sinh = defineUnary({
  type: "Sinh",
  versions: [9, 22],
  attributes: {},
  precision: "full",
  value: Math.sinh,
  gradient: ({ x, g, b }) => b.mul(g, b.op("Cosh", [x])),
});

export const Cosh = defineUnary({
  type: "Cosh",
  versions: [9, 22],
  attributes: {},
  precision: "full",
  value: Math.cosh,
  gradient: ({ x, g, b }) => b.mul(g, b.op("Sinh", [x])),
});

export const Tanh = defineUnary({
  type: "Tanh",
  versions: [1, 6, 13],
  attributes: {},
  precision: "follow",
  inPlace: true,
  value: Math.tanh,
  gradient: ({ y, g, b }) => b.mul(g, b.sub(1, b.mul(y, y))),
});

export const Asinh = defineUnary({
  type: "Asinh",
  versions: [9, 22],
  attributes: {},
  precision: "follow",
  value: Math.asinh,
  gradient: ({ x, g, b }) => b.div(g, b.sqrt(b.add(b.mul(x, x), 1))),
});

export const Acosh = defineUnary({
  type: "Acosh",
  versions: [9, 22],
  attributes: {},
  precision: "follow",
  value: Math.acosh,
  gradient: ({ x, g, b }) => b.div(g, b.sqrt(b.sub(b.mul(x, x), 1))),
});

export const Atanh = defineUnary({
  type: "Atanh",
  versions: [9, 22],
  attributes: {},
  precision: "follow",
  value: Math.atanh,
  gradient: ({ x, g, b }) => b.div(g, b.sub(1, b.mul(x, x))),
});
