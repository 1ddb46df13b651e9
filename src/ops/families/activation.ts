/** Activations with kinks; at a kink the derivative is the one that PyTorch takes. */

import { defineOp } from "../define.ts";
import { dtypeOf } from "../facts.ts";
import { mapPair } from "../kernels/elementwise.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { partsOfElements } from "../kernels/parts.ts";
import { replaceNode } from "../kernels/replace-node.ts";
import { defineUnary } from "../kernels/unary.ts";
import { float } from "../params.ts";

export const Relu = defineUnary({
  type: "Relu",
  versions: [1, 6, 13, 14],
  attributes: {},
  precision: "follow",
  inPlace: true,
  value: (x) => Math.max(x, 0),
  bigints: (x) => (x < 0n ? 0n : x),
  // 0 at 0
  gradient: ({ y, g, b }) => b.where(b.greater(y, 0), g, 0),
});

export const LeakyRelu = defineUnary({
  type: "LeakyRelu",
  versions: [1, 6, 16],
  attributes: { alpha: float(0.01) },
  precision: "follow",
  inPlace: true,
  value: (x, { alpha }) => (x < 0 ? alpha * x : x),
  // alpha at 0
  gradient: ({ x, g, attrs: { alpha }, b }) => b.where(b.greater(x, 0), g, b.mul(g, alpha)),
});

export const PRelu = defineOp({
  type: "PRelu",
  versions: [1, 6, 7, 9, 16],
  inputs: ["x", "slope"],
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { x, slope } }) => [inferBroadcast(node, [x, slope])],
  evaluate: ({ in: { x, slope }, exact }) => [
    mapPair(
      x,
      slope,
      { numbers: (v, factor) => (v < 0 ? factor * v : v), bigints: (v, factor) => (v < 0n ? factor * v : v) },
      { exact },
    ),
  ],
  parts: partsOfElements,
  precision: "follow",
  // The slope at 0.
  gradient: ({ in: { x, slope }, grad: { y: g }, b }) => ({
    x: () => b.where(b.greater(x, 0), g, b.mul(g, slope)),
    slope: () => b.where(b.greater(x, 0), 0, b.mul(g, x)),
  }),
});

export const Elu = defineUnary({
  type: "Elu",
  versions: [1, 6, 22],
  attributes: { alpha: float(1) },
  precision: "follow",
  inPlace: true,
  value: (x, { alpha }) => (x < 0 ? alpha * Math.expm1(x) : x),
  // alpha e^x = y + alpha below and at 0
  gradient: ({ x, y, g, attrs: { alpha }, b }) => b.where(b.greater(x, 0), g, b.mul(g, b.add(y, alpha))),
});

export const Selu = defineUnary({
  type: "Selu",
  versions: [1, 6, 22],
  // The defaults are the float32 values of Klambauer et al., "Self-Normalizing Neural Networks" (2017).
  attributes: { alpha: float(1.6732631921768188), gamma: float(1.0507010221481323) },
  precision: "follow",
  inPlace: true,
  value: (x, { alpha, gamma }) => gamma * (x > 0 ? x : alpha * Math.expm1(x)),
  // gamma alpha e^x = y + gamma alpha below and at 0
  gradient: ({ x, y, g, attrs: { alpha, gamma }, b }) =>
    b.mul(g, b.where(b.greater(x, 0), gamma, b.add(y, gamma * alpha))),
});

export const Celu = defineUnary({
  type: "Celu",
  versions: [12, 28],
  attributes: { alpha: float(1) },
  precision: "follow",
  inPlace: true,
  // Version 12 takes float32 alone: max(0, x) + min(0, alpha (e^(x/alpha) - 1)) in the type of x.
  downgrades: {
    28: (node, b) => {
      const [x] = node.inputs;
      if (x == null || dtypeOf(x) === "float32") return;
      const alpha = node.float("alpha", 1);
      const below = b.mul(b.sub(b.exp(b.mul(b.min(x, 0), 1 / alpha)), 1), alpha);
      replaceNode(node, [b.where(b.greater(x, 0), x, below)]);
    },
  },
  value: (x, { alpha }) => Math.max(0, x) + Math.min(0, alpha * Math.expm1(x / alpha)),
  // e^(x/alpha) = y/alpha + 1 below and at 0
  gradient: ({ x, y, g, attrs: { alpha }, b }) =>
    b.where(b.greater(x, 0), g, b.mul(g, b.add(b.mul(y, 1 / alpha), 1))),
});

export const HardSigmoid = defineUnary({
  type: "HardSigmoid",
  versions: [1, 6, 22],
  attributes: { alpha: float(0.2), beta: float(0.5) },
  precision: "follow",
  inPlace: true,
  value: (x, { alpha, beta }) => Math.max(0, Math.min(1, alpha * x + beta)),
  // 0 at both ends of the ramp
  gradient: ({ y, g, attrs: { alpha }, b }) =>
    b.where(b.and(b.greater(y, 0), b.less(y, 1)), b.mul(g, alpha), 0),
});

export const HardSwish = defineUnary({
  type: "HardSwish",
  versions: [14, 22],
  attributes: {},
  precision: "follow",
  value: (x) => x * Math.max(0, Math.min(1, x / 6 + 0.5)),
  // x/3 + 1/2 between -3 and 3; 0 at -3, 1 at 3
  gradient: ({ x, g, b }) =>
    b.where(b.greater(x, -3), b.where(b.less(x, 3), b.mul(g, b.add(b.mul(x, 1 / 3), 0.5)), g), 0),
});

export const ThresholdedRelu = defineUnary({
  type: "ThresholdedRelu",
  versions: [10, 22],
  attributes: { alpha: float(1) },
  precision: "follow",
  inPlace: true,
  value: (x, { alpha }) => (x > alpha ? x : 0),
  // 0 at the threshold
  gradient: ({ x, g, attrs: { alpha }, b }) => b.where(b.greater(x, alpha), g, 0),
});

export const Shrink = defineUnary({
  type: "Shrink",
  versions: [9],
  attributes: { bias: float(0), lambd: float(0.5) },
  precision: "follow",
  value: (x, { bias, lambd }) => (x < -lambd ? x + bias : x > lambd ? x - bias : 0),
  // 0 at both thresholds
  gradient: ({ x, g, attrs: { lambd }, b }) => b.where(b.greater(b.abs(x), lambd), g, 0),
});
