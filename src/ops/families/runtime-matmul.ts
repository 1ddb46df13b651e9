/** Products of com.microsoft with what the runtime fuses into them: transpositions, a factor, a bias, an activation. */
import { floatAttribute } from "../../ir/attribute.ts";
import { type Dim, unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf, rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { matmulFlops, productFlops } from "../kernels/flops.ts";
import { productShape } from "../kernels/matmul-shape.ts";
import { countUp } from "../kernels/rearrange.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import { float, int, maybeFloat, text } from "../params.ts";
import type { Inferred } from "../record.ts";

const domain = "com.microsoft";
const versions = [1];
const transpositions = { transA: int(0), transB: int(0) };
const batches = { transBatchA: int(0), transBatchB: int(0) };
const activationParams = {
  activation: text(""),
  activation_alpha: maybeFloat(),
  activation_beta: maybeFloat(),
  activation_gamma: maybeFloat(),
};

export const FusedMatMul = defineOp({
  type: "FusedMatMul",
  domain,
  versions,
  inputs: ["a", "b"],
  outputs: ["y"],
  attributes: { alpha: float(1), ...transpositions, ...batches },
  infer: ({ node, in: { a, b }, attrs }) => [inferFused(node, a, b, attrs)],
  evaluate: byExpansion,
  precision: "low",
  cost: {
    flops: ({ in: { a }, out: { y }, attrs }) => fusedFlops(a, y, attrs),
    packs: "b",
  },
  gradient: { kind: "expand", rule: ({ in: { a, b: right }, attrs, b }) => [multiply(b, a, right, attrs)] },
});

/** The older name of FusedMatMul. */
export const TransposeMatMul = defineOp({
  type: "TransposeMatMul",
  domain,
  versions,
  inputs: ["a", "b"],
  outputs: ["y"],
  attributes: { alpha: float(1), ...transpositions },
  infer: ({ node, in: { a, b }, attrs }) => [
    inferFused(node, a, b, { ...attrs, transBatchA: 0, transBatchB: 0 }),
  ],
  evaluate: byExpansion,
  precision: "low",
  cost: { flops: ({ in: { a }, out: { y }, attrs: { transA } }) => matmulFlops(a, y, transA !== 0) },
  gradient: {
    kind: "expand",
    rule: ({ in: { a, b: right }, attrs, b }) => [
      multiply(b, a, right, { ...attrs, transBatchA: 0, transBatchB: 0 }),
    ],
  },
});

export const FusedMatMulActivation = defineOp({
  type: "FusedMatMulActivation",
  domain,
  versions,
  inputs: ["a", "b"],
  outputs: ["y"],
  attributes: {
    alpha: float(1),
    ...transpositions,
    ...batches,
    ...activationParams,
    activation_axis: int(-1),
  },
  infer: ({ node, in: { a, b }, attrs }) => [inferFused(node, a, b, attrs)],
  evaluate: byExpansion,
  precision: "low",
  cost: {
    flops: ({ in: { a }, out: { y }, attrs }) => fusedFlops(a, y, attrs),
    packs: "b",
  },
  gradient: {
    kind: "expand",
    rule: ({ node, in: { a, b: right }, attrs, b }) => {
      const product = multiply(b, a, right, attrs);
      if (attrs.activation !== "Softmax") return [activate(b, node, product, attrs)];
      return [b.op("Softmax", [product], { axis: attrs.activation_axis })];
    },
  },
});

export const FusedGemm = defineOp({
  type: "FusedGemm",
  domain,
  versions,
  inputs: ["a", "b", "c?"],
  ranks: { a: 2, b: 2 },
  outputs: ["y"],
  attributes: { alpha: float(1), beta: float(1), ...transpositions, ...activationParams },
  infer: ({ in: { a, b }, attrs: { transA, transB } }) => {
    const type = a.tensorType ?? b.tensorType;
    const rows = a.tensorType?.shape?.[transA === 0 ? 0 : 1] ?? unknownDim();
    const columns = b.tensorType?.shape?.[transB === 0 ? 1 : 0] ?? unknownDim();
    return [type && tensorType(type.dtype, [rows, columns])];
  },
  evaluate: byExpansion,
  precision: "low",
  cost: {
    flops: ({ in: { a }, out: { y }, attrs: { transA } }) => matmulFlops(a, y, transA !== 0),
    packs: "b",
  },
  gradient: {
    kind: "expand",
    rule: ({ node, in: { a, b: right, c }, attrs, b }) => {
      const { alpha, beta, transA, transB } = attrs;
      const product = b.op("Gemm", [a, right, c ?? null], {
        alpha: floatAttribute(alpha),
        beta: floatAttribute(beta),
        transA,
        transB,
      });
      return [activate(b, node, product, attrs)];
    },
  },
});

export const GemmFastGelu = defineOp({
  type: "GemmFastGelu",
  domain,
  versions,
  inputs: ["x", "w", "bias?"],
  ranks: { w: 2, bias: 1 },
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { x, w } }) => {
    const type = x.tensorType;
    return [type && tensorType(type.dtype, productShape(node, type.shape, w.tensorType?.shape))];
  },
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, w, bias }, b }) => {
      const product = b.matmul(x, w);
      const sum = bias === undefined ? product : b.add(product, bias);
      return [b.op("Gelu", [sum], { approximate: "tanh" })];
    },
  },
});

interface Transpositions {
  readonly transA: number;
  readonly transB: number;
  readonly transBatchA: number;
  readonly transBatchB: number;
}

function inferFused(node: Node, a: Value, b: Value, attrs: Transpositions): Inferred {
  const type = a.tensorType ?? b.tensorType;
  const [left, right] = [a.tensorType?.shape, b.tensorType?.shape].map((shape, index) => {
    const perm = shape && fusedPerm(shape.length, ...sideOf(attrs, index));
    return perm?.map((axis): Dim => shape?.[axis] ?? unknownDim());
  });
  return type && tensorType(type.dtype, productShape(node, left, right));
}

function fusedFlops(a: Value, y: Value, attrs: Transpositions): Dim {
  const inner = fusedPerm(rankOf(a), attrs.transA !== 0, attrs.transBatchA !== 0).at(-1) ?? 0;
  return productFlops(y, dimOf(a, inner));
}

/** The product of two operands as they are multiplied, times alpha. */
function multiply(
  b: OpBuilder,
  a: Value,
  other: Value,
  attrs: Transpositions & { readonly alpha: number },
): Value {
  const [left = a, right = other] = [a, other].map((x, index) =>
    b.transpose(x, fusedPerm(rankOf(x), ...sideOf(attrs, index))),
  );
  const product = b.matmul(left, right);
  return attrs.alpha === 1 ? product : b.mul(product, attrs.alpha);
}

function sideOf(attrs: Transpositions, index: number): [boolean, boolean] {
  return index === 0
    ? [attrs.transA !== 0, attrs.transBatchA !== 0]
    : [attrs.transB !== 0, attrs.transBatchB !== 0];
}

/**
 * The order of axes in which FusedMatMul multiplies an operand. A transposed batch means that the first axis
 * is the one before last: `[rows, batch..., columns]` (ContribOperators.md of ONNX Runtime).
 */
function fusedPerm(rank: number, transposed: boolean, batchTransposed: boolean): readonly number[] {
  const perm = countUp(rank);
  if (rank < 2) return perm;
  const order = batchTransposed ? [...perm.slice(1, -1), 0, rank - 1] : perm;
  if (!transposed) return order;
  return [...order.slice(0, -2), ...order.slice(-2).reverse()];
}

interface Activation {
  readonly activation: string;
  readonly activation_alpha: number | undefined;
  readonly activation_beta: number | undefined;
  readonly activation_gamma: number | undefined;
}

/** Which of their parameters the activations that the runtime fuses have, under the names that it gives those. */
const activations: Readonly<Record<string, Readonly<Record<string, keyof Activation>>>> = {
  Elu: { alpha: "activation_alpha" },
  HardSigmoid: { alpha: "activation_alpha", beta: "activation_beta" },
  LeakyRelu: { alpha: "activation_alpha" },
  Relu: {},
  Selu: { alpha: "activation_alpha", gamma: "activation_gamma" },
  Sigmoid: {},
  Softplus: {},
  Softsign: {},
  Tanh: {},
  ThresholdedRelu: { alpha: "activation_alpha" },
};

/** The fused activation of a product, the identity where none is named. */
function activate(b: OpBuilder, node: Node, x: Value, attrs: Activation): Value {
  if (attrs.activation === "") return x;
  requireOneOf(node, "activation", attrs.activation, Object.keys(activations));
  const parameters = Object.entries(activations[attrs.activation] ?? {}).map(([name, key]) => {
    const value = attrs[key];
    return [name, typeof value === "number" ? floatAttribute(value) : undefined] as const;
  });
  return b.op(attrs.activation, [x], Object.fromEntries(parameters));
}
