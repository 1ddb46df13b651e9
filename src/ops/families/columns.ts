/** Col2Im: columns, one a window, summed into images. */
import { type Dim, unknownDim } from "../../ir/dim.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { columnChannels, columnWindows, foldColumns, unfoldImages } from "../kernels/columns.ts";
import { dimsIn } from "../kernels/content.ts";
import { knownIntegers } from "../kernels/reduction-axes.ts";
import { amounts, counts, ints } from "../params.ts";

/** PyTorch's fold: `x [N, C * block, L]` to images `[N, C, ...]` (ONNX Col2Im 18). */
export const Col2Im = defineOp({
  type: "Col2Im",
  versions: [18],
  inputs: ["x", "image", "block"],
  ranks: { x: 3, image: 1, block: 1 },
  outputs: ["y"],
  attributes: { dilations: ints(counts), pads: ints(amounts), strides: ints(counts) },
  infer: ({ in: { x, image, block } }) => {
    const type = x.tensorType;
    const [sizes, kernel] = [dimsIn(image), knownIntegers(block)];
    if (type === undefined || sizes === undefined) return [type && tensorType(type.dtype)];
    const depth = type.shape?.[1];
    const channels: Dim =
      depth === undefined || kernel === undefined ? unknownDim() : columnChannels(depth, kernel);
    return [tensorType(type.dtype, [type.shape?.[0] ?? unknownDim(), channels, ...sizes])];
  },
  evaluate: ({ in: { x, image, block }, attrs, exact }) => {
    const sizes = image.toNumbers();
    return [foldColumns(x, sizes, columnWindows(attrs, block.toNumbers(), sizes), exact)];
  },
  precision: "follow",
  gradient: ({ in: { x, block }, attrs, grad, b }) => ({
    x: () => unfoldImages(b, grad.y, x, attrs, block),
  }),
  hostInputs: ["image", "block"],
});
