/** RoiAlign: regions of an image brought to one size by samples between its elements. */
import { unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import { type RoiAttributes, roiAlign, roiAlignGradient } from "../kernels/roi-align.ts";
import { amounts, counts, float, int, text } from "../params.ts";

/**
 * Mean or maximum of bilinear samples in each bin of `rois [R, 4]` (x1, y1, x2, y2) of `x [N, C, H, W]` (ONNX
 * RoiAlign 22). A maximum is over the four weighted neighbours of all samples, as ONNX has it. The regions get no
 * gradient, as in torchvision.
 */
export const RoiAlign = defineOp({
  type: "RoiAlign",
  versions: [10, 16, 22],
  inputs: ["x", "rois", "images"],
  ranks: { x: 4, rois: 2, images: 1 },
  outputs: ["y"],
  attributes: {
    coordinate_transformation_mode: text("half_pixel"),
    mode: text("avg"),
    output_height: int(1, counts),
    output_width: int(1, counts),
    sampling_ratio: int(0, amounts),
    spatial_scale: float(1),
  },
  infer: ({ node, in: { x, rois, images }, attrs }) => {
    checkModes(node, attrs);
    const type = x.tensorType;
    const regions = rois.tensorType?.shape?.[0] ?? images.tensorType?.shape?.[0] ?? unknownDim();
    const channels = type?.shape?.[1] ?? unknownDim();
    return [type && tensorType(type.dtype, [regions, channels, attrs.output_height, attrs.output_width])];
  },
  evaluate: ({ in: { x, rois, images }, attrs, exact }) => [roiAlign(x, rois, images, attrs, exact)],
  precision: "full",
  gradient: ({ in: { x, rois, images }, grad, attrs, b }) => ({
    x: () => roiAlignGradient(b, { x, rois, images, g: grad.y, attrs }),
  }),
  held: { rois: "torchvision takes regions for constants" },
  upgrades: {
    // Version 16 names the way from coordinates to elements, and has another default.
    16: (node) => {
      node.attributes.set("coordinate_transformation_mode", { kind: "string", value: "output_half_pixel" });
    },
  },
});

function checkModes(node: Node, attrs: RoiAttributes): void {
  requireOneOf(node, "mode", attrs.mode, ["avg", "max"]);
  requireOneOf(node, "coordinate_transformation_mode", attrs.coordinate_transformation_mode, [
    "half_pixel",
    "output_half_pixel",
  ]);
}
