/** ImageDecoder: the elements of an image from the bytes of a file. */
import { unknownDim } from "../../ir/dim.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp, refuse, zero } from "../define.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import { text } from "../params.ts";

/** Bytes of a file to uint8 `[H, W, channels]` (ONNX ImageDecoder 20). The runtime has no kernel for it. */
export const ImageDecoder = defineOp({
  type: "ImageDecoder",
  versions: [20],
  inputs: ["bytes"],
  ranks: { bytes: 1 },
  outputs: ["image"],
  attributes: { pixel_format: text("RGB") },
  infer: ({ node, attrs: { pixel_format } }) => {
    requireOneOf(node, "pixel_format", pixel_format, ["RGB", "BGR", "Grayscale"]);
    return [tensorType("uint8", [unknownDim(), unknownDim(), pixel_format === "Grayscale" ? 1 : 3])];
  },
  evaluate: refuse("the formats of image files are not read here"),
  precision: "exact",
  gradient: zero("bytes of a file carry no gradient"),
});
