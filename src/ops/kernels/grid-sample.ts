/** Evaluation and gradients of GridSample. */
import { countElements } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { rankOf } from "../facts.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { once } from "./once.ts";
import { scatterAlong, zerosShapedAs } from "./positions.ts";
import { countUp } from "./rearrange.ts";
import { asRows, rowIndices } from "./row-scatter.ts";
import { axisTaps, type PointTaps, pointTaps, type Sampling, tapsAt } from "./sample-points.ts";
import { productOf, reshapeLike, reshapeTo, sizeAt, sizesOf, stateShape } from "./shape-vector.ts";

/** Samples `x [N, C, ...]` at the places of `grid [N, ..., r]`, whose last axis names the last axis of `x` first. */
export function gridSample(x: NDArray, grid: NDArray, sampling: Sampling, exact: boolean): NDArray {
  const [batch = 0, channels = 0, ...sizes] = x.shape;
  const out = grid.shape.slice(1, -1);
  const [inner, points, r] = [countElements(sizes), countElements(out), sizes.length];
  const values = new Float64Array(batch * channels * points);
  for (let n = 0; n < batch; n++) {
    for (let p = 0; p < points; p++) {
      let terms = [{ at: 0, weight: 1 }];
      sizes.forEach((size, axis) => {
        const coordinate = grid.numbers[(n * points + p) * r + r - 1 - axis] ?? 0;
        const taps = tapsAt(elementAt(coordinate, size, sampling.alignCorners), size, sampling);
        terms = terms.flatMap((term) =>
          taps.map((tap) => ({ at: term.at * size + tap.at, weight: term.weight * tap.weight })),
        );
      });
      for (let c = 0; c < channels; c++) {
        const plane = (n * channels + c) * inner;
        const sum = terms.reduce((total, { at, weight }) => total + weight * (x.numbers[plane + at] ?? 0), 0);
        values[(n * channels + c) * points + p] = sum;
      }
    }
  }
  return fromNumbers(x.dtype, [batch, channels, ...out], values, exact);
}

/** Where a coordinate from -1 to 1 lies, in elements. */
function elementAt(coordinate: number, size: number, alignCorners: boolean): number {
  return alignCorners ? ((coordinate + 1) / 2) * (size - 1) : ((coordinate + 1) * size - 1) / 2;
}

/**
 * Gradients of both operands, from one row of channels for each element of the images: those of the results
 * are summed into the rows that they were taken from, and those of the places are products with them.
 */
export function gridSampleGradient(
  b: OpBuilder,
  {
    x,
    grid,
    g,
    sampling,
  }: { readonly x: Value; readonly grid: Value; readonly g: Value; readonly sampling: Sampling },
): { readonly x: () => Value; readonly grid: () => Value } {
  const spatial = countUp(rankOf(x) - 2).map((axis) => axis + 2);
  const channelsLast = [0, ...spatial, 1];
  const points = productOf(sizesOf(grid, 1, rankOf(grid) - 1));
  if (points === 0) return { x: () => b.zerosLike(x), grid: () => b.zerosLike(grid) };
  const sizes = spatial.map((axis) => b.dim(x, axis));
  const taps = once((): PointTaps => {
    const places = reshapeTo(b, grid, [sizeAt(grid, 0), points, spatial.length]);
    return pointTaps(
      b,
      spatial.map((_, axis) => {
        const coordinate = b.gather(places, b.int(spatial.length - 1 - axis), -1);
        return axisTaps(
          b,
          toElements(b, coordinate, sizes[axis] ?? b.int(1), sampling),
          sizes[axis] ?? b.int(1),
          sampling,
        );
      }),
      sizes,
    );
  });
  // [N, P, 1, C]
  const rowsOfG = once(() => {
    const flat = reshapeTo(b, b.transpose(g, channelsLast), [sizeAt(g, 0), points, sizeAt(g, 1)]);
    return b.unsqueeze(flat, [2]);
  });
  const rowsAt = once(() => {
    const area = sizes.reduce((left, right) => b.mul(left, right));
    const first = b.mul(b.op("Range", [b.int(0), b.dim(x, 0), b.int(1)]), area);
    return b.add(taps().at, b.unsqueeze(first, [1, 2]));
  });
  const channels = sizeAt(x, 1);
  return {
    x: () => {
      const images = b.transpose(x, channelsLast);
      const count = productOf(sizesOf(images, 0, rankOf(images) - 1));
      const updates = asRows(b, b.mul(b.unsqueeze(taps().weight, [-1]), rowsOfG()), -1, [channels]);
      const indices = rowIndices(b, b.reshape(rowsAt(), [-1]), updates);
      const sums = scatterAlong(b, { updates, indices, axis: 0, repeated: true }, (dtype) =>
        asRows(b, zerosShapedAs(b, images, dtype), count, [channels]),
      );
      const back = [0, spatial.length + 1, ...countUp(spatial.length).map((axis) => axis + 1)];
      return stateShape(b.transpose(reshapeLike(b, sums, images), back), x);
    },
    grid: () => {
      if (sampling.order === "nearest") return b.zerosLike(grid);
      const images = b.transpose(x, channelsLast);
      const count = productOf(sizesOf(images, 0, rankOf(images) - 1));
      const picked = b.gather(asRows(b, images, count, [channels]), rowsAt(), 0);
      const products = b.reduceSum(b.mul(picked, rowsOfG()), [-1], false);
      const perAxis = spatial.map((_, axis) => {
        const slope = taps().slopes[axis] ?? products;
        const byPlace = b.reduceSum(b.mul(products, slope), [-1]);
        return b.mul(byPlace, halfSize(b, sizes[axis] ?? b.int(1), grid, sampling));
      });
      return reshapeLike(b, b.concat(perAxis.toReversed(), -1), grid);
    },
  };
}

function toElements(b: OpBuilder, coordinate: Value, size: Value, sampling: Sampling): Value {
  const scaled = b.mul(b.add(coordinate, 1), halfSize(b, size, coordinate, sampling));
  return sampling.alignCorners ? scaled : b.sub(scaled, 0.5);
}

/** Elements that a coordinate passes on its way from -1 to 0. */
function halfSize(b: OpBuilder, size: Value, like: Value, { alignCorners }: Sampling): Value {
  return b.mul(b.castLike(alignCorners ? b.sub(size, 1) : size, like), 0.5);
}
