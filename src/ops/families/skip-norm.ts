/** Normalizations of com.microsoft that add a residual first: SkipLayerNormalization, SkipSimplifiedLayerNormalization. */
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { mapPair } from "../kernels/elementwise.ts";
import { layerGradients } from "../kernels/layer-gradients.ts";
import { once } from "../kernels/once.ts";
import { partsOfFirstAxis } from "../kernels/parts.ts";
import { requireBroadcastTo, requireShape } from "../kernels/require-shape.ts";
import { type Standardized, scaleAndShift, standardize } from "../kernels/standardize.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { float } from "../params.ts";
import type { Inferred } from "../record.ts";

const domain = "com.microsoft";
const versions = [1];
// The runtime's default, far below that of ai.onnx.
const attributes = { epsilon: float(1e-12) };

export const SkipLayerNormalization = defineOp({
  type: "SkipLayerNormalization",
  domain,
  versions,
  inputs: ["x", "skip", "gamma", "beta?", "bias?"],
  ranks: { x: [2, 3], skip: [2, 3], gamma: 1, beta: 1, bias: 1 },
  outputs: ["y", "mean?", "inverse?", "sum?"],
  attributes,
  infer: ({ node, in: operands }) => inferSkip(node, operands),
  evaluate: ({ in: { x, skip, gamma, beta, bias }, attrs: { epsilon }, exact }) =>
    evaluateSkip([x, skip, bias], gamma, beta, { epsilon, centered: true, exact }),
  parts: partsOfFirstAxis,
  precision: "full",
  gradient: ({ in: { x, skip, gamma, bias }, out, grad, attrs: { epsilon }, b, hasGrad }) => {
    const sum = out.sum ?? addUp(b, [x, skip, bias]);
    const options = { axes: [rankOf(x) - 1], epsilon, centered: true };
    const gradients = layerGradients(
      b,
      { x: sum, scale: gamma, mean: out.mean, inverse: out.inverse },
      options,
      {
        y: hasGrad("y") ? grad.y : undefined,
        mean: hasGrad("mean") ? grad.mean : undefined,
        inverse: hasGrad("inverse") ? grad.inverse : undefined,
      },
    );
    const added = once(() => plus(b, gradients.x(), hasGrad("sum") ? grad.sum : undefined));
    return { x: added, skip: added, bias: added, gamma: gradients.scale, beta: () => grad.y };
  },
});

export const SkipSimplifiedLayerNormalization = defineOp({
  type: "SkipSimplifiedLayerNormalization",
  domain,
  versions,
  inputs: ["x", "skip", "gamma", "bias?"],
  ranks: { x: [2, 3], skip: [2, 3], gamma: 1, bias: 1 },
  outputs: ["y", "mean?", "inverse?", "sum?"],
  attributes,
  infer: ({ node, in: operands }) => inferSkip(node, operands),
  evaluate: ({ in: { x, skip, gamma, bias }, attrs: { epsilon }, exact }) =>
    evaluateSkip([x, skip, bias], gamma, undefined, { epsilon, centered: false, exact }),
  parts: partsOfFirstAxis,
  precision: "full",
  gradient: ({ in: { x, skip, gamma, bias }, out, grad, attrs: { epsilon }, b, hasGrad }) => {
    const sum = out.sum ?? addUp(b, [x, skip, bias]);
    const options = { axes: [rankOf(x) - 1], epsilon, centered: false };
    const gradients = layerGradients(b, { x: sum, scale: gamma, inverse: out.inverse }, options, {
      y: hasGrad("y") ? grad.y : undefined,
      inverse: hasGrad("inverse") ? grad.inverse : undefined,
    });
    const added = once(() => plus(b, gradients.x(), hasGrad("sum") ? grad.sum : undefined));
    return { x: added, skip: added, bias: added, gamma: gradients.scale };
  },
});

/** Result, statistics of each row, and the sum that was normalized. */
interface Operands {
  readonly x: Value;
  readonly skip: Value;
  readonly gamma: Value;
  readonly beta?: Value | undefined;
  readonly bias?: Value | undefined;
}

function inferSkip(node: Node, { x, skip, ...vectors }: Operands): Inferred[] {
  const [type, shape] = [x.tensorType, x.tensorType?.shape];
  requireBroadcastTo(node, "skip", skip, shape);
  for (const [name, vector] of Object.entries(vectors)) requireShape(node, name, vector, shape?.slice(-1));
  const rows = shape?.map((dim, axis) => (axis === shape.length - 1 ? 1 : dim));
  const statistics = tensorType("float32", rows);
  return [type, statistics, statistics, type];
}

function evaluateSkip(
  addends: readonly (NDArray | undefined)[],
  gamma: NDArray,
  beta: NDArray | undefined,
  options: { readonly epsilon: number; readonly centered: boolean; readonly exact: boolean },
): NDArray[] {
  const { epsilon, centered, exact } = options;
  const sum = addends
    .filter((addend) => addend !== undefined)
    .reduce((left, right) => mapPair(left, right, { numbers: (a, b) => a + b }, { exact: true }));
  const standard: Standardized = standardize(sum, { axes: [sum.rank - 1], epsilon, centered });
  const { plan, means, inverses, normalized } = standard;
  return [
    fromNumbers(sum.dtype, sum.shape, scaleAndShift(normalized, sum.shape, gamma, beta), exact),
    fromNumbers("float32", plan.kept, means, exact),
    fromNumbers("float32", plan.kept, inverses, exact),
    fromNumbers(sum.dtype, sum.shape, sum.numbers, exact),
  ];
}

function addUp(b: OpBuilder, addends: readonly (Value | undefined)[]): Value {
  return addends.filter((addend) => addend !== undefined).reduce((left, right) => b.add(left, right));
}

function plus(b: OpBuilder, left: Value, right: Value | undefined): Value {
  return right === undefined ? left : b.add(left, right);
}
