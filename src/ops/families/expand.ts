/** Operators that repeat elements: Expand, Tile. */
import { type Dim, mulDims } from "../../ir/dim.ts";
import { broadcastShapes, type Shape, unknownShape } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { contentLimit, dimsIn, withContent } from "../kernels/content.ts";
import { broadcastTo, commonShape } from "../kernels/elementwise.ts";
import { partsOfSpread } from "../kernels/parts.ts";
import { countUp, pickAlongAxes } from "../kernels/rearrange.ts";
import { knownIntegers } from "../kernels/reduction-axes.ts";
import { reshapeTo, type Size, sizeAt, stateShape } from "../kernels/shape-vector.ts";
import type { Inferred } from "../record.ts";

export const Expand = defineOp({
  type: "Expand",
  versions: [8, 13],
  inputs: ["x", "shape"],
  ranks: { shape: 1 },
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x, shape } }) => {
    const [from, to] = [x.tensorType?.shape, dimsIn(shape)];
    return [inferRepeated(x, from && to && broadcastShapes(from, to))];
  },
  evaluate: ({ in: { x, shape } }) => [broadcastTo(x, commonShape(x.shape, shape.toNumbers()))],
  parts: partsOfSpread,
  precision: "follow",
  // The driver sums over the axes that were stretched.
  gradient: ({ grad }) => ({ x: () => grad.y }),
  rankFree: true,
  hostInputs: ["shape"],
  quantized: { reads: ["x"], makes: ["y"] },
});

export const Tile = defineOp({
  type: "Tile",
  versions: [1, 6, 13],
  inputs: ["x", "repeats"],
  ranks: { repeats: 1 },
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x, repeats } }) => {
    const [from, counts] = [x.tensorType?.shape, dimsIn(repeats)];
    if (from === undefined) return [inferRepeated(x, counts && unknownShape(counts.length))];
    const shape =
      counts === undefined
        ? unknownShape(from.length)
        : from.map((dim, axis) => mulDims(dim, counts[axis] ?? 1));
    return [inferRepeated(x, shape)];
  },
  evaluate: ({ in: { x, repeats } }) => {
    const counts = repeats.toNumbers();
    const picks = x.shape.map((dim, axis) => countUp(dim * (counts[axis] ?? 1)).map((index) => index % dim));
    return [pickAlongAxes(x, picks)];
  },
  precision: "follow",
  gradient: ({ in: { x, repeats }, grad, b }) => ({
    x: () => stateShape(sumCopies(b, grad.y, x, repeats), x),
  }),
  hostInputs: ["repeats"],
});

/** Type of a result that repeats `x`; a small integer content is repeated, too. */
function inferRepeated(x: Value, shape: Shape | undefined): Inferred {
  const type = x.tensorType;
  if (type === undefined) return undefined;
  const { content } = x;
  const length = shape?.length === 1 ? shape[0] : shape?.length === 0 ? 1 : undefined;
  if (content === undefined || typeof length !== "number" || length > contentLimit || content.length === 0) {
    return withContent(type.dtype, shape, undefined);
  }
  const repeated = countUp(length).flatMap((index): Dim[] => {
    const element = content[index % content.length];
    return element === undefined ? [] : [element];
  });
  return withContent(type.dtype, shape, repeated);
}

/** Views each axis as copies of itself and sums over the copies. */
function sumCopies(b: OpBuilder, g: Value, x: Value, repeats: Value): Value {
  const rank = rankOf(x);
  const counts = knownIntegers(repeats);
  if (counts === undefined) {
    const columns = [b.unsqueeze(repeats, [1]), b.unsqueeze(b.shape(x), [1])];
    const split = b.reshape(b.concat(columns, 1), [2 * rank]);
    const copies = b.op("Reshape", [g, split], { allowzero: 1 });
    return b.reduceSum(
      copies,
      countUp(rank).map((axis) => 2 * axis),
      false,
    );
  }
  const sizes: Size[] = [];
  const summed: number[] = [];
  counts.forEach((count, axis) => {
    if (count !== 1) {
      summed.push(sizes.length);
      sizes.push(count);
    }
    sizes.push(sizeAt(x, axis));
  });
  return summed.length === 0 ? g : b.reduceSum(reshapeTo(b, g, sizes), summed, false);
}
