/** The gradients of layer normalization, with the mean subtracted or not, for every operator that contains one. */
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { dtypeOf } from "../facts.ts";
import { once } from "./once.ts";
import { reciprocalCount } from "./reduction-axes.ts";
import { normalizedAgain, type StandardizeOptions, standardizeGradient } from "./standardize.ts";

/** A normalized operand, its scale, and what the forward node left of its statistics. */
export interface LayerOperands {
  readonly x: Value;
  readonly scale: Value;
  readonly mean?: Value | undefined;
  readonly inverse?: Value | undefined;
}

/** Gradients of the results; undefined where the loss does not depend on one. */
export interface LayerResults {
  readonly y?: Value | undefined;
  readonly mean?: Value | undefined;
  readonly inverse?: Value | undefined;
}

/** Gradients of the operands. `scale` has the shape of `x`, for the driver to sum. */
export interface LayerGradients {
  readonly x: () => Value;
  readonly scale: () => Value;
}

/** Gradients of `y = hat(x) * scale` and of its statistics. */
export function layerGradients(
  b: OpBuilder,
  { x, scale, mean, inverse: deviation }: LayerOperands,
  options: StandardizeOptions,
  grads: LayerResults,
): LayerGradients {
  const normalized = once(() => normalizedAgain(b, x, options, { mean, inverse: deviation }));
  return {
    x: () => {
      const { hat, inverse } = normalized();
      const dtype = dtypeOf(hat);
      const parts: Value[] = [];
      if (grads.y !== undefined) {
        const g = b.cast(b.mul(grads.y, scale), dtype);
        parts.push(standardizeGradient(b, { hat, inverse }, g, options));
      }
      // d mean / dx = 1/n, d inverse / dx = -inverse^2 hat / n
      if (grads.mean !== undefined) {
        const share = b.mul(b.cast(grads.mean, dtype), reciprocalCount(b, hat, options.axes));
        parts.push(b.expand(share, b.shape(x)));
      }
      if (grads.inverse !== undefined) {
        const share = b.mul(b.cast(grads.inverse, dtype), reciprocalCount(b, hat, options.axes));
        parts.push(b.mul(hat, b.neg(b.mul(share, b.mul(inverse, inverse)))));
      }
      return parts.length === 0
        ? b.zerosLike(x)
        : b.castLike(
            parts.reduce((sum, part) => b.add(sum, part)),
            x,
          );
    },
    scale: () => {
      if (grads.y === undefined) return b.zerosLike(scale);
      return b.castLike(b.mul(b.cast(grads.y, dtypeOf(normalized().hat)), normalized().hat), scale);
    },
  };
}
