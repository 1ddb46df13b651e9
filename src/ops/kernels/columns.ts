/** Images as columns, one a window: evaluation and gradient of Col2Im. */
import { type Dim, floorDivDims } from "../../ir/dim.ts";
import { countElements } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { rankOf } from "../facts.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { countUp } from "./rearrange.ts";
import { knownIntegers } from "./reduction-axes.ts";
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
 */
export function unfoldImages(
  b: OpBuilder,
  image: Value,
  like: Value,
  attrs: Omit<WindowAttributes, "auto_pad">,
  block: Value,
): Value {
  const rank = rankOf(image) - 2;
  const pads = attrs.pads ?? [];
  const spatial = countUp(rank).map((axis) => axis + 2);
  const padded = pads.some((pad) => pad !== 0) ? padZeros(b, image, b.ints(pads), b.ints(spatial)) : image;
  const sizes = knownIntegers(block);
  let columns = padded;
  for (const axis of countUp(rank)) {
    const [stride, dilation] = [attrs.strides?.[axis] ?? 1, attrs.dilations?.[axis] ?? 1];
    const known = sizes?.[axis];
    const size = known === undefined ? b.gather(block, b.int(axis)) : b.int(known);
    const steps = b.mul(b.op("Range", [b.int(0), size, b.int(1)]), dilation);
    const ends = b.sub(b.dim(padded, axis + 2), b.mul(b.sub(size, 1), dilation));
    const starts = b.op("Range", [b.int(0), ends, b.int(stride)]);
    columns = b.gather(columns, b.add(b.unsqueeze(steps, [1]), starts), 2 + 2 * axis);
  }
  const blocks = spatial.map((axis) => 2 * axis - 2);
  const ordered = b.transpose(columns, [0, 1, ...blocks, ...blocks.map((axis) => axis + 1)]);
  return reshapeLike(b, ordered, like);
}
