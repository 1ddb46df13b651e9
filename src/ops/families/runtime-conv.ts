/** Convolutions of com.microsoft, with what the runtime fuses into them or with channels last. */
import { floatAttribute } from "../../ir/attribute.ts";
import { unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import type { Shape } from "../../ir/shape.ts";
import { type TensorType, tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { inferPool } from "../kernels/pool-shape.ts";
import { countUp } from "../kernels/rearrange.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import { requireDims } from "../kernels/require-shape.ts";
import { requireWindowAxes } from "../kernels/require-window.ts";
import { paddings, planWindows, type WindowAttributes } from "../kernels/window.ts";
import { convolutionParams, poolParams } from "../kernels/window-params.ts";
import { floats, text } from "../params.ts";

const domain = "com.microsoft";
const versions = [1];
const fusedParams = { ...convolutionParams, activation: text(""), activation_params: floats() };
/** Names of the activations that the runtime fuses, with those of their parameters in order. */
const activations: Readonly<Record<string, readonly string[]>> = {
  Relu: [],
  Tanh: [],
  Sigmoid: [],
  LeakyRelu: ["alpha"],
  HardSigmoid: ["alpha", "beta"],
  HardSwish: [],
  Clip: ["min", "max"],
};

type ConvAttributes = WindowAttributes & {
  readonly kernel_shape: readonly number[] | undefined;
  readonly group: number;
};

/** `activation(Conv(x, w, bias) + z)`. */
export const FusedConv = defineOp({
  type: "FusedConv",
  domain,
  versions,
  inputs: ["x", "w", "bias?", "z?"],
  outputs: ["y"],
  attributes: fusedParams,
  infer: ({ node, in: { x, w }, attrs }) => {
    checkActivation(node, attrs.activation);
    return [inferConv(node, x, x.tensorType?.shape, w.tensorType?.shape, attrs)];
  },
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, w, bias, z }, attrs, b }) => {
      const product = b.op("Conv", [x, w, bias ?? null], convAttributes(attrs));
      return [activate(b, z === undefined ? product : b.add(product, z), attrs)];
    },
  },
});

/** The same with channels last in `x`, `z` and the result; `w` is that of Conv. */
export const NhwcFusedConv = defineOp({
  type: "NhwcFusedConv",
  domain,
  versions,
  inputs: ["x", "w", "bias?", "z?"],
  outputs: ["y"],
  attributes: fusedParams,
  infer: ({ node, in: { x, w }, attrs }) => {
    checkActivation(node, attrs.activation);
    const type = inferConv(node, x, channelsFirst(x.tensorType?.shape), w.tensorType?.shape, attrs);
    return [type && tensorType(type.dtype, channelsLast(type.shape))];
  },
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, w, bias, z }, attrs, b }) => {
      const product = b.op("Conv", [toFront(b, x), w, bias ?? null], convAttributes(attrs));
      const sum = z === undefined ? product : b.add(product, toFront(b, z));
      return [toBack(b, activate(b, sum, attrs))];
    },
  },
});

/** Conv with channels last in `x [N, ..., C]`, `w [M, ..., C / group]` and the result. */
export const NhwcConv = defineOp({
  type: "NhwcConv",
  domain,
  versions,
  inputs: ["x", "w", "bias?"],
  outputs: ["y"],
  attributes: convolutionParams,
  infer: ({ node, in: { x, w }, attrs }) => {
    const [from, kernel] = [channelsFirst(x.tensorType?.shape), channelsFirst(w.tensorType?.shape)];
    const type = inferConv(node, x, from, kernel, attrs);
    return [type && tensorType(type.dtype, channelsLast(type.shape))];
  },
  evaluate: byExpansion,
  precision: "low",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, w, bias }, attrs, b }) => [
      toBack(b, b.op("Conv", [toFront(b, x), toFront(b, w), bias ?? null], convAttributes(attrs))),
    ],
  },
});

/** MaxPool with channels last. The runtime has it for whole numbers of 8 bits only. */
export const NhwcMaxPool = defineOp({
  type: "NhwcMaxPool",
  domain,
  versions,
  inputs: ["x"],
  ranks: { x: [3] },
  outputs: ["y"],
  attributes: poolParams,
  infer: ({ node, in: { x }, attrs }) => {
    const type = x.tensorType;
    if (type?.shape === undefined) return [type];
    const pooled = inferPool(node, tensorType(type.dtype, channelsFirst(type.shape)), attrs);
    return [pooled && tensorType(pooled.dtype, channelsLast(pooled.shape))];
  },
  evaluate: byExpansion,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { x }, attrs, b }) => [toBack(b, b.op("MaxPool", [toFront(b, x)], { ...attrs }))],
  },
});

function checkActivation(node: Node, activation: string): void {
  if (activation !== "") requireOneOf(node, "activation", activation, Object.keys(activations));
}

function activate(
  b: OpBuilder,
  x: Value,
  attrs: { readonly activation: string; readonly activation_params: readonly number[] | undefined },
): Value {
  const { activation, activation_params: parameters = [] } = attrs;
  if (activation === "") return x;
  if (activation === "Clip") {
    const bounds = parameters.map((bound) => b.castLike(b.scalar(bound, "float32"), x));
    return b.op("Clip", [x, ...bounds]);
  }
  const names = activations[activation] ?? [];
  const named = parameters.flatMap((value, index) => {
    const name = names[index];
    return name === undefined ? [] : [[name, floatAttribute(value)] as const];
  });
  return b.op(activation, [x], Object.fromEntries(named));
}

function convAttributes({ auto_pad, kernel_shape, pads, strides, dilations, group }: ConvAttributes): {
  auto_pad: string;
  kernel_shape: readonly number[] | undefined;
  pads: readonly number[] | undefined;
  strides: readonly number[] | undefined;
  dilations: readonly number[] | undefined;
  group: number;
} {
  return { auto_pad, kernel_shape, pads, strides, dilations, group };
}

/** The type of a convolution of operands of the given shapes, channels first. */
function inferConv(
  node: Node,
  x: Value,
  from: Shape | undefined,
  weights: Shape | undefined,
  attrs: ConvAttributes,
): TensorType | undefined {
  requireOneOf(node, "auto_pad", attrs.auto_pad, paddings);
  const type = x.tensorType;
  const kernel = attrs.kernel_shape ?? weights?.slice(2);
  if (type === undefined || from === undefined || kernel === undefined) return type && tensorType(type.dtype);
  requireWindowAxes(node, attrs, from.length - 2);
  const channels = from[1];
  const perGroup = typeof channels === "number" ? channels / attrs.group : undefined;
  const wanted = [undefined, perGroup, ...(attrs.kernel_shape ?? from.slice(2).map(() => undefined))];
  requireDims(node, "w", weights, wanted);
  const spatial = planWindows(attrs, kernel, from.slice(2)).map(({ output }) => output);
  return tensorType(type.dtype, [from[0] ?? unknownDim(), weights?.[0] ?? unknownDim(), ...spatial]);
}

function channelsFirst(shape: Shape | undefined): Shape | undefined {
  return shape && [...shape.slice(0, 1), ...shape.slice(-1), ...shape.slice(1, -1)];
}

function channelsLast(shape: Shape | undefined): Shape | undefined {
  return shape && [...shape.slice(0, 1), ...shape.slice(2), ...shape.slice(1, 2)];
}

function toFront(b: OpBuilder, x: Value): Value {
  const rank = rankOf(x);
  return b.transpose(x, [0, rank - 1, ...countUp(rank - 2).map((axis) => axis + 1)]);
}

function toBack(b: OpBuilder, x: Value): Value {
  return b.transpose(x, [0, ...countUp(rankOf(x) - 2).map((axis) => axis + 2), 1]);
}
