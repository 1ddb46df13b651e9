/** Images as columns, one a window: evaluation and gradient of Col2Im. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { type Dim, floorDivDims } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { countElements } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { countUp } from "./rearrange.ts";
import { reshapeLike } from "./shape-vector.ts";
import { type KnownAxis, knownWindows, type WindowAttributes, windowTaps } from "./window.ts";
import { padZeros } from "./zero-pad.ts";

/** Windows over an image of which everything is known. */
export function columnWindows(
  attrs: Omit<WindowAttributes, "auto_pad">,
  block: readonly number[],
  image: readonly number[],
): KnownAxis[] {
  return knownWindows({ ...attrs, auto_pad: "NOTSET" }, block, image);
}

/** Sums columns `x [N, C * block, L]` into images `[N, C, ...]`, each element where its window took it from. */
export function foldColumns(
  x: NDArray,
  image: readonly number[],
  axes: readonly KnownAxis[],
  exact: boolean,
): NDArray {
  const [batch = 0, depth = 0, length = 0] = x.shape;
  const kernel = axes.reduce((product, axis) => product * axis.kernel, 1);
  const channels = Math.floor(depth / kernel);
  const inner = countElements(image);
  const taps = windowTaps(
    image,
    axes.map(({ output }) => output),
    axes,
  );
  const sums = new Float64Array(batch * channels * inner);
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let k = 0; k < kernel; k++) {
      for (let o = 0; o < length; o++) {
        const tap = taps[o * kernel + k] ?? -1;
        if (tap < 0) continue;
        const at = plane * inner + tap;
        sums[at] = (sums[at] ?? 0) + (x.numbers[(plane * kernel + k) * length + o] ?? 0);
      }
    }
  }
  return fromNumbers(x.dtype, [batch, channels, ...image], sums, exact);
}

/** Number of channels of the images. */
export function columnChannels(depth: Dim, block: readonly number[]): Dim {
  return floorDivDims(depth, countElements(block));
}

/**
 * Takes images apart into columns: the transpose of {@link foldColumns}. Each axis is picked apart by one Gather,
 * into elements of the block and windows. `like` has the shape of the result.
 *
 * @throws DiagnosticError E_UNKNOWN_SIZE where the block is not known.
 */
export function unfoldImages(
  b: OpBuilder,
  node: Node,
  image: Value,
  like: Value,
  attrs: Omit<WindowAttributes, "auto_pad">,
  block: readonly number[] | undefined,
): Value {
  if (block === undefined) throw operatorErrors.E_UNKNOWN_SIZE(node, "the size of a block");
  const rank = block.length;
  const pads = attrs.pads ?? new Array<number>(2 * rank).fill(0);
  const spatial = b.ints(countUp(rank).map((axis) => axis + 2));
  let columns = pads.every((pad) => pad === 0) ? image : padZeros(b, image, b.ints(pads), spatial);
  const padded = columns;
  block.forEach((size, axis) => {
    const [stride, dilation] = [attrs.strides?.[axis] ?? 1, attrs.dilations?.[axis] ?? 1];
    const span = dilation * (size - 1);
    const starts = b.op("Range", [b.int(0), b.sub(b.dim(padded, axis + 2), span), b.int(stride)]);
    const steps = b.ints(countUp(size).map((step) => step * dilation));
    columns = b.gather(columns, b.add(b.unsqueeze(steps, [1]), starts), 2 + 2 * axis);
  });
  const blocks = countUp(rank).map((axis) => 2 + 2 * axis);
  const ordered = b.transpose(columns, [0, 1, ...blocks, ...blocks.map((axis) => axis + 1)]);
  return reshapeLike(b, ordered, like);
}
