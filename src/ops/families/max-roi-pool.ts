/** MaxRoiPool: regions of an image brought to one size by the maxima of their bins. */
import { unknownDim } from "../../ir/dim.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { requireAttribute } from "../kernels/require-attribute.ts";
import { maxRoiPool, maxRoiPoolGradient } from "../kernels/roi-pool.ts";
import { counts, float, ints } from "../params.ts";

/**
 * Maximum of each bin of `rois [R, 5]` (sample, x1, y1, x2, y2) of `x [N, C, H, W]` (ONNX MaxRoiPool 22; Girshick, "Fast
 * R-CNN", 2015). The regions get no gradient, as in torchvision.
 */
export const MaxRoiPool = defineOp({
  type: "MaxRoiPool",
  versions: [1, 22],
  inputs: ["x", "rois"],
  ranks: { x: 4, rois: 2 },
  outputs: ["y"],
  attributes: { pooled_shape: ints(counts), spatial_scale: float(1) },
  infer: ({ node, in: { x, rois }, attrs }) => {
    const pooled = requireAttribute(node, "pooled_shape", attrs.pooled_shape);
    const type = x.tensorType;
    const regions = rois.tensorType?.shape?.[0] ?? unknownDim();
    return [type && tensorType(type.dtype, [regions, type.shape?.[1] ?? unknownDim(), ...pooled])];
  },
  evaluate: ({ node, in: { x, rois }, attrs }) => [
    maxRoiPool(x, rois, requireAttribute(node, "pooled_shape", attrs.pooled_shape), attrs.spatial_scale),
  ],
  precision: "full",
  gradient: ({ node, in: { x, rois }, grad, attrs, b }) => ({
    x: () => {
      const pooled = requireAttribute(node, "pooled_shape", attrs.pooled_shape);
      return maxRoiPoolGradient(b, x, rois, grad.y, pooled, attrs.spatial_scale);
    },
  }),
  held: { rois: "torchvision takes regions for constants" },
});
