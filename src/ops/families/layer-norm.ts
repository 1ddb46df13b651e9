/** LayerNormalization and RMSNormalization over the trailing axes. */
import { type DType, dtypeFromCode } from "../../ir/dtype.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";

import { defineOp } from "../define.ts";
import { dtypeOf, rankOf } from "../facts.ts";
import { once } from "../kernels/once.ts";
import { axesFrom, axisOf, reciprocalCount } from "../kernels/reduction-axes.ts";
import { normalizedAgain, scaleAndShift, standardize, standardizeGradient } from "../kernels/standardize.ts";
import { fromNumbers } from "../ndarray.ts";
import { float, int } from "../params.ts";
import type { Inferred } from "../record.ts";

export const LayerNormalization = defineOp({
  type: "LayerNormalization",
  versions: [17],
  inputs: ["x", "scale", "bias?"],
  outputs: ["y", "mean?", "inverse?"],
  attributes: { axis: int(-1), epsilon: float(1e-5), stash_type: int(1) },
  infer: ({ node, in: { x }, attrs }) => {
    const statistics = inferStatistics(node, x, attrs.axis, stashType(attrs.stash_type));
    return [x.type, statistics, statistics];
  },
  evaluate: ({ node, in: { x, scale, bias }, attrs: { axis, epsilon, stash_type }, exact }) => {
    const result = standardize(x, { axes: axesFrom(node, axis, x.rank), epsilon, centered: true });
    const { plan, means, inverses, normalized } = result;
    return [
      fromNumbers(x.dtype, x.shape, scaleAndShift(normalized, x.shape, scale, bias), exact),
      fromNumbers(stashType(stash_type), plan.kept, means, exact),
      fromNumbers(stashType(stash_type), plan.kept, inverses, exact),
    ];
  },
  precision: "full",
  gradient: ({ node, in: { x, scale }, out, grad, attrs: { axis, epsilon }, b, hasGrad }) => {
    const options = { axes: axesFrom(node, axis, rankOf(x)), epsilon, centered: true };
    const normalized = once(() => normalizedAgain(b, x, options, out));
    return {
      x: () => {
        const { hat, inverse } = normalized();
        const dtype = dtypeOf(hat);
        const parts: Value[] = [];
        if (hasGrad("y")) {
          const g = b.cast(b.mul(grad.y, scale), dtype);
          parts.push(standardizeGradient(b, { hat, inverse }, g, options));
        }
        // d mean / dx = 1/n, d inverse / dx = -inverse^2 hat / n
        if (hasGrad("mean") && grad.mean !== undefined) {
          const share = b.mul(b.cast(grad.mean, dtype), reciprocalCount(b, hat, options.axes));
          parts.push(b.expand(share, b.shape(x)));
        }
        if (hasGrad("inverse") && grad.inverse !== undefined) {
          const share = b.mul(b.cast(grad.inverse, dtype), reciprocalCount(b, hat, options.axes));
          parts.push(b.mul(hat, b.neg(b.mul(share, b.mul(inverse, inverse)))));
        }
        return b.castLike(
          parts.reduce((sum, part) => b.add(sum, part)),
          x,
        );
      },
      scale: () => b.castLike(b.mul(b.cast(grad.y, dtypeOf(normalized().hat)), normalized().hat), scale),
      bias: () => grad.y,
    };
  },
});

export const RMSNormalization = defineOp({
  type: "RMSNormalization",
  versions: [23],
  inputs: ["x", "scale"],
  outputs: ["y"],
  attributes: { axis: int(-1), epsilon: float(1e-5), stash_type: int(1) },
  infer: ({ node, in: { x, scale }, attrs }) => [inferScaled(node, x, scale, attrs.axis)],
  evaluate: ({ node, in: { x, scale }, attrs: { axis, epsilon }, exact }) => {
    const { normalized } = standardize(x, { axes: axesFrom(node, axis, x.rank), epsilon, centered: false });
    return [fromNumbers(scale.dtype, x.shape, scaleAndShift(normalized, x.shape, scale, undefined), exact)];
  },
  precision: "full",
  gradient: ({ node, in: { x, scale }, grad, attrs: { axis, epsilon }, b }) => {
    const options = { axes: axesFrom(node, axis, rankOf(x)), epsilon, centered: false };
    const normalized = once(() => normalizedAgain(b, x, options));
    return {
      x: () => {
        const g = b.cast(b.mul(grad.y, scale), dtypeOf(normalized().hat));
        return b.castLike(standardizeGradient(b, normalized(), g, options), x);
      },
      scale: () => b.castLike(b.mul(b.cast(grad.y, dtypeOf(normalized().hat)), normalized().hat), scale),
    };
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
  const dtype = scale.tensorType?.dtype ?? x.tensorType?.dtype;
  return dtype === undefined ? undefined : tensorType(dtype, shape);
}
