/**
 * QuantizeLinear and DequantizeLinear, of ai.onnx and as the runtime has them of its own; DynamicQuantizeLinear.
 *
 * Gradients are straight-through: quantised numbers are taken as real ones, as if nothing had been rounded. What was cut at the
 * bounds of the type has none, as in PyTorch's fake_quantize, which counts as inside what rounds to a bound.
 */
import { type DType, dtypeFromCode } from "../../ir/dtype.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { dtypeOf } from "../facts.ts";
import { convertElements } from "../kernels/convert.ts";
import { once } from "../kernels/once.ts";
import { dequantizeArray, dynamicScale, quantizeArray } from "../kernels/quantize.ts";
import { alignScales, checkScales, sumByScale } from "../kernels/quantize-axis.ts";
import { insideBounds, realNumbers } from "../kernels/quantize-gradient.ts";
import { fromNumbers, NDArray } from "../ndarray.ts";
import { amounts, int } from "../params.ts";
import type { Op } from "../record.ts";

const scaling = { axis: int(1), block_size: int(0, amounts), output_dtype: int(0) };

/** `y = cut(round(x / scale) + zero)`. */
function defineQuantize(domain: string, versions: readonly number[]): Op {
  return defineOp({
    type: "QuantizeLinear",
    domain,
    versions,
    inputs: ["x", "scale", "zero?"],
    outputs: ["y"],
    attributes: { ...scaling, saturate: int(1), precision: int(0) },
    infer: ({ node, in: { x, scale, zero }, attrs }) => {
      checkScales(node, x, scale, zero, attrs);
      const dtype = zero === undefined ? (dtypeFromCode(attrs.output_dtype) ?? "uint8") : typeOf(zero);
      return [dtype && tensorType(dtype, x.tensorType?.shape)];
    },
    evaluate: ({ in: { x, scale, zero }, attrs, exact }) => {
      const dtype = zero?.dtype ?? dtypeFromCode(attrs.output_dtype) ?? "uint8";
      return [quantizeArray(x, { scale, zero, ...attrs }, dtype, exact)];
    },
    precision: "full",
    // dy/dx = 1 / scale and dy/dscale = -x / scale^2, where y was not cut.
    gradient: ({ node, in: { x, scale, zero }, out: { y }, attrs, grad, b }) => {
      const wide = once(() => b.castLike(alignScales(b, scale, x, attrs), x));
      const ratio = once(() => b.div(x, wide()));
      const passed = once(() => {
        const inside = insideBounds(b, ratio(), { dtype: dtypeOf(y), zero, like: x, ...attrs });
        return b.div(b.mul(b.castLike(grad.y, x), b.castLike(inside, x)), wide());
      });
      return {
        x: passed,
        scale: () => b.castLike(sumByScale(b, node, b.neg(b.mul(passed(), ratio())), scale, attrs), scale),
      };
    },
    quantized: { makes: ["y"] },
  });
}

/** `y = (x - zero) * scale`. */
function defineDequantize(domain: string, versions: readonly number[]): Op {
  return defineOp({
    type: "DequantizeLinear",
    domain,
    versions,
    inputs: ["x", "scale", "zero?"],
    outputs: ["y"],
    attributes: scaling,
    infer: ({ node, in: { x, scale, zero }, attrs }) => {
      checkScales(node, x, scale, zero, attrs);
      const dtype = dtypeFromCode(attrs.output_dtype) ?? typeOf(scale);
      return [dtype && tensorType(dtype, x.tensorType?.shape)];
    },
    evaluate: ({ in: { x, scale, zero }, attrs, exact }) => {
      const values = dequantizeArray(x, { scale, zero, ...attrs });
      const dtype = dtypeFromCode(attrs.output_dtype) ?? scale.dtype;
      return [fromNumbers(dtype, x.shape, values, exact)];
    },
    precision: "full",
    gradient: ({ node, in: { x, scale, zero }, attrs, grad, b }) => ({
      x: () => b.mul(grad.y, b.castLike(alignScales(b, scale, x, attrs), grad.y)),
      // dy/dscale = x - zero
      scale: () => {
        const numbers = realNumbers(b, x, dtypeOf(scale));
        const shifted =
          zero === undefined
            ? numbers
            : b.sub(numbers, alignScales(b, realNumbers(b, zero, dtypeOf(scale)), x, attrs));
        return sumByScale(b, node, b.mul(b.castLike(grad.y, scale), shifted), scale, attrs);
      },
    }),
    quantized: { reads: ["x"] },
  });
}

const versions = [10, 13, 19, 21, 23, 24, 25, 28];

export const QuantizeLinear = defineQuantize("", versions);
export const DequantizeLinear = defineDequantize("", versions);
export const RuntimeQuantizeLinear = defineQuantize("com.microsoft", [1]);
export const RuntimeDequantizeLinear = defineDequantize("com.microsoft", [1]);

/**
 * Scale and zero point from the range of the data, 0 included, then QuantizeLinear to uint8. Differentiated with both held
 * constant, as they are in PyTorch: wherever the result is scaled back, a change of the scale cancels but for the rounding.
 */
export const DynamicQuantizeLinear = defineOp({
  type: "DynamicQuantizeLinear",
  versions: [11],
  inputs: ["x"],
  outputs: ["y", "scale", "zero"],
  attributes: {},
  infer: ({ in: { x } }) => [
    tensorType("uint8", x.tensorType?.shape),
    tensorType("float32", []),
    tensorType("uint8", []),
  ],
  evaluate: ({ in: { x }, exact }) => {
    const { scale, zero } = dynamicScale(convertElements(x, "float64").numbers, exact);
    const scaleArray = fromNumbers("float32", [], [scale], exact);
    const zeroArray = new NDArray("uint8", [], Float64Array.of(zero));
    const parameters = { scale: scaleArray, zero: zeroArray, axis: 0, block_size: 0, saturate: 1 };
    return [quantizeArray(x, parameters, "uint8", exact), scaleArray, zeroArray];
  },
  precision: "full",
  gradient: ({ in: { x }, out: { scale }, grad, b }) => ({
    x: () => b.castLike(b.div(grad.y, b.castLike(scale, grad.y)), x),
  }),
  quantized: { makes: ["y"], holds: ["scale"] },
});

function typeOf({
  tensorType,
}: {
  readonly tensorType: { readonly dtype: DType } | undefined;
}): DType | undefined {
  return tensorType?.dtype;
}
