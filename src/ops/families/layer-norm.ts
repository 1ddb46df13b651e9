/** LayerNormalization, RMSNormalization and SimplifiedLayerNormalization over the trailing axes. */
import { type DType, dtypeFromCode } from "../../ir/dtype.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { layerGradients } from "../kernels/layer-gradients.ts";
import { partsBeside } from "../kernels/parts.ts";
import { axesFrom, axisOf } from "../kernels/reduction-axes.ts";
import { requireBroadcastTo } from "../kernels/require-shape.ts";
import { selectBeside } from "../kernels/select-along.ts";
import { scaleAndShift, standardize } from "../kernels/standardize.ts";
import { fromNumbers } from "../ndarray.ts";
import { float, int } from "../params.ts";
import type { Inferred } from "../record.ts";

export const LayerNormalization = defineOp({
  type: "LayerNormalization",
  versions: [17],
  inputs: ["x", "scale", "bias?"],
  ranks: { x: [1] },
  outputs: ["y", "mean?", "inverse?"],
  attributes: { axis: int(-1), epsilon: float(1e-5), stash_type: int(1) },
  // Before opset 17 the runtime's own LayerNormalization, of the same meaning, lets the scale have another type.
  infer: ({ node, in: { x, scale, bias }, attrs }) => {
    requireBroadcastTo(node, "bias", bias, x.tensorType?.shape);
    const statistics = inferStatistics(node, x, attrs.axis, stashType(attrs.stash_type));
    return [inferScaled(node, x, scale, attrs.axis), statistics, statistics];
  },
  evaluate: ({ node, in: { x, scale, bias }, attrs: { axis, epsilon, stash_type }, exact }) => {
    const result = standardize(x, { axes: axesFrom(node, axis, x.rank), epsilon, centered: true });
    const { plan, means, inverses, normalized } = result;
    return [
      fromNumbers(scale.dtype, x.shape, scaleAndShift(normalized, x.shape, scale, bias), exact),
      fromNumbers(stashType(stash_type), plan.kept, means, exact),
      fromNumbers(stashType(stash_type), plan.kept, inverses, exact),
    ];
  },
  precision: "full",
  select: selectBeside((node, rank) => axesFrom(node, node.int("axis", -1), rank)),
  parts: partsBeside((node, rank) => axesFrom(node, node.int("axis", -1), rank)),
  gradient: ({ node, in: { x, scale }, out, grad, attrs: { axis, epsilon }, b, hasGrad }) => {
    const options = { axes: axesFrom(node, axis, rankOf(x)), epsilon, centered: true };
    const operands = { x, scale, mean: out.mean, inverse: out.inverse };
    const gradients = layerGradients(b, operands, options, {
      y: hasGrad("y") ? grad.y : undefined,
      mean: hasGrad("mean") ? grad.mean : undefined,
      inverse: hasGrad("inverse") ? grad.inverse : undefined,
    });
    return { ...gradients, bias: () => grad.y };
  },
});

export const RMSNormalization = defineOp({
  type: "RMSNormalization",
  versions: [23],
  inputs: ["x", "scale"],
  ranks: { x: [1] },
  outputs: ["y"],
  attributes: { axis: int(-1), epsilon: float(1e-5), stash_type: int(1) },
  infer: ({ node, in: { x, scale }, attrs }) => [inferScaled(node, x, scale, attrs.axis)],
  evaluate: ({ node, in: { x, scale }, attrs: { axis, epsilon }, exact }) => {
    const { normalized } = standardize(x, { axes: axesFrom(node, axis, x.rank), epsilon, centered: false });
    return [fromNumbers(scale.dtype, x.shape, scaleAndShift(normalized, x.shape, scale, undefined), exact)];
  },
  precision: "full",
  select: selectBeside((node, rank) => axesFrom(node, node.int("axis", -1), rank)),
  parts: partsBeside((node, rank) => axesFrom(node, node.int("axis", -1), rank)),
  gradient: ({ node, in: { x, scale }, grad, attrs: { axis, epsilon }, b }) => {
    const options = { axes: axesFrom(node, axis, rankOf(x)), epsilon, centered: false };
    return layerGradients(b, { x, scale }, options, { y: grad.y });
  },
});

/** The runtime's name for RMSNormalization, in ai.onnx though ONNX does not know it, with the deviation as a result. */
export const SimplifiedLayerNormalization = defineOp({
  type: "SimplifiedLayerNormalization",
  versions: [1],
  inputs: ["x", "scale"],
  ranks: { x: [1] },
  outputs: ["y", "inverse?"],
  attributes: { axis: int(-1), epsilon: float(1e-5), stash_type: int(1) },
  infer: ({ node, in: { x, scale }, attrs }) => [
    inferScaled(node, x, scale, attrs.axis),
    inferStatistics(node, x, attrs.axis, stashType(attrs.stash_type)),
  ],
  evaluate: ({ node, in: { x, scale }, attrs: { axis, epsilon, stash_type }, exact }) => {
    const result = standardize(x, { axes: axesFrom(node, axis, x.rank), epsilon, centered: false });
    const { plan, inverses, normalized } = result;
    return [
      fromNumbers(scale.dtype, x.shape, scaleAndShift(normalized, x.shape, scale, undefined), exact),
      fromNumbers(stashType(stash_type), plan.kept, inverses, exact),
    ];
  },
  precision: "full",
  select: selectBeside((node, rank) => axesFrom(node, node.int("axis", -1), rank)),
  parts: partsBeside((node, rank) => axesFrom(node, node.int("axis", -1), rank)),
  gradient: ({ node, in: { x, scale }, out, grad, attrs: { axis, epsilon }, b, hasGrad }) => {
    const options = { axes: axesFrom(node, axis, rankOf(x)), epsilon, centered: false };
    return layerGradients(b, { x, scale, inverse: out.inverse }, options, {
      y: hasGrad("y") ? grad.y : undefined,
      inverse: hasGrad("inverse") ? grad.inverse : undefined,
    });
  },
});

function stashType(code: number): DType {
  return dtypeFromCode(code) ?? "float32";
}

function inferStatistics(node: Node, x: Value, axis: number, dtype: DType): Inferred {
  const shape = x.tensorType?.shape;
  if (shape === undefined) return tensorType(dtype);
  const reduced = axesFrom(node, axis, shape.length);
  return tensorType(
    dtype,
    shape.map((dim, at) => (reduced.includes(at) ? 1 : dim)),
  );
}

/** The result has the shape of `x` and the type of the scale (V in the schema). */
function inferScaled(node: Node, x: Value, scale: Value, axis: number): Inferred {
  const shape = x.tensorType?.shape;
  if (shape !== undefined) axisOf(node, axis, shape.length);
  requireBroadcastTo(node, "scale", scale, shape);
  const dtype = scale.tensorType?.dtype ?? x.tensorType?.dtype;
  return dtype === undefined ? undefined : tensorType(dtype, shape);
}
