/** Smooth activations: Sigmoid, Softplus, Softsign, Gelu, Swish, SwiGLU and Mish. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf } from "../facts.ts";
import { erf } from "../kernels/erf.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { requireShape } from "../kernels/require-shape.ts";
import { swish } from "../kernels/swish.ts";
import { defineUnary } from "../kernels/unary.ts";
import { float, text } from "../params.ts";

export const Sigmoid = defineUnary({
  type: "Sigmoid",
  versions: [1, 6, 13],
  attributes: {},
  precision: "follow",
  inPlace: true,
  value: sigmoid,
  gradient: ({ y, g, b }) => b.mul(g, b.mul(y, b.sub(1, y))),
});

export const Softplus = defineUnary({
  type: "Softplus",
  versions: [1, 22],
  attributes: {},
  precision: "full",
  inPlace: true,
  value: softplus,
  gradient: ({ x, g, b }) => b.mul(g, b.op("Sigmoid", [x])),
});

export const Softsign = defineUnary({
  type: "Softsign",
  versions: [1, 22],
  attributes: {},
  precision: "follow",
  inPlace: true,
  value: (x) => x / (1 + Math.abs(x)),
  // 1/(1+|x|)^2
  gradient: ({ x, g, b }) => {
    const size = b.add(b.abs(x), 1);
    return b.div(b.div(g, size), size);
  },
});

export const Gelu = defineUnary({
  type: "Gelu",
  versions: [20],
  attributes: { approximate: text("none") },
  precision: "follow",
  value: (x, { approximate }) =>
    approximate === "tanh"
      ? 0.5 * x * (1 + Math.tanh(tanhScale * (x + tanhCubic * x ** 3)))
      : 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  // A product that gives g can halve it on the way.
  gradient: ({ x, g, attrs: { approximate }, b }) =>
    approximate === "tanh" ? b.mul(g, tanhGeluSlope(b, x)) : b.mul(b.mul(g, 0.5), twiceErfGeluSlope(b, x)),
});

export const Swish = defineUnary({
  type: "Swish",
  versions: [24],
  attributes: { alpha: float(1) },
  precision: "follow",
  value: (x, { alpha }) => x * sigmoid(alpha * x),
  // s + alpha y (1 - s) with s = sigmoid(alpha x)
  gradient: ({ x, y, g, attrs: { alpha }, b }) => {
    const s = b.op("Sigmoid", [alpha === 1 ? x : b.mul(x, alpha)]);
    const rest = b.mul(y, b.sub(1, s));
    return b.mul(g, b.add(s, alpha === 1 ? rest : b.mul(rest, alpha)));
  },
});

export const SwiGLU = defineOp({
  type: "SwiGLU",
  versions: [28],
  inputs: ["gate", "x"],
  outputs: ["y"],
  attributes: { alpha: float(1) },
  infer: ({ node, in: { gate, x } }) => {
    requireShape(node, "x", x, gate.tensorType?.shape);
    return [gate.type];
  },
  evaluate: byExpansion,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { gate, x }, attrs: { alpha }, b }) => [b.mul(swish(b, gate, alpha), x)],
  },
});

export const Mish = defineUnary({
  type: "Mish",
  versions: [18, 22],
  attributes: {},
  precision: "full",
  value: (x) => x * Math.tanh(softplus(x)),
  // t + x (1 - t^2) sigmoid(x) with t = tanh(softplus(x))
  gradient: ({ x, g, b }) => {
    const t = b.op("Tanh", [b.op("Softplus", [x])]);
    const bend = b.mul(b.mul(x, b.op("Sigmoid", [x])), b.sub(1, b.mul(t, t)));
    return b.mul(g, b.add(t, bend));
  },
});

// Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016): sqrt(2/pi) (x + 0.044715 x^3).
const tanhScale = Math.sqrt(2 / Math.PI);
const tanhCubic = 0.044715;

/**
 * 2 Phi(x) + 2 x phi(x), the normal distribution function and its density, as 1 + erf(s) + 2/sqrt(pi) s / exp(s^2) with
 * s = x / sqrt(2): where exp(s^2) is infinite, the quotient is the 0 that it should be.
 */
function twiceErfGeluSlope(b: OpBuilder, x: Value): Value {
  const s = b.mul(x, Math.SQRT1_2);
  const bell = b.div(s, b.exp(b.mul(s, s)));
  return b.add(b.add(b.op("Erf", [s]), 1), b.mul(bell, 2 / Math.sqrt(Math.PI)));
}

/** (1 + t)/2 + x (1 - t^2) u'/2 with t = tanh(u). */
function tanhGeluSlope(b: OpBuilder, operand: Value): Value {
  // The slope is 0 or 1 beyond 16, where squares of float16 come near infinity, and infinity times 0 is no number.
  const x = dtypeOf(operand) === "float16" ? clipTo(b, operand, 16) : operand;
  const square = b.mul(x, x);
  const inner = b.mul(x, b.add(b.mul(square, tanhScale * tanhCubic), tanhScale));
  const t = b.op("Tanh", [inner]);
  const halfSlope = b.add(b.mul(square, 1.5 * tanhScale * tanhCubic), 0.5 * tanhScale);
  const bend = b.mul(b.mul(x, halfSlope), b.sub(1, b.mul(t, t)));
  return b.add(b.add(b.mul(t, 0.5), 0.5), bend);
}

function clipTo(b: OpBuilder, x: Value, bound: number): Value {
  return b.op("Clip", [x, b.scalar(-bound, dtypeOf(x)), b.scalar(bound, dtypeOf(x))]);
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function softplus(x: number): number {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}
