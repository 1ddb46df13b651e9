/** AffineGrid: places of an image, turned, scaled and moved. */
import { float32Tensor } from "../../ir/constant.ts";
import { countElements } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp } from "../define.ts";
import { dtypeOf, rankOf } from "../facts.ts";
import { dimsIn } from "../kernels/content.ts";
import { productOf, reshapeTo, sizeAt, sizesOf, stateShape } from "../kernels/shape-vector.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { int } from "../params.ts";

/**
 * Places `theta [N, r, r + 1]` takes those of an image `size [N, C, ...]` to, `[N, ..., r]`, coordinates from -1 to
 * 1 with that of the last axis first (ONNX AffineGrid 20).
 */
export const AffineGrid = defineOp({
  type: "AffineGrid",
  versions: [20],
  inputs: ["theta", "size"],
  ranks: { theta: 3, size: 1 },
  outputs: ["grid"],
  attributes: { align_corners: int(0) },
  infer: ({ in: { theta, size } }) => {
    const type = theta.tensorType;
    const sizes = dimsIn(size);
    if (type === undefined || sizes === undefined) return [type && tensorType(type.dtype)];
    return [tensorType(type.dtype, [type.shape?.[0] ?? sizes[0] ?? 1, ...sizes.slice(2), sizes.length - 2])];
  },
  evaluate: ({ in: { theta, size }, attrs, exact }) => [
    affineGrid(theta, size.toNumbers().slice(2), attrs.align_corners !== 0, exact),
  ],
  precision: "full",
  // Linear in theta: the places of the image itself, which the identity gives, times the gradients.
  gradient: ({ in: { theta, size }, grad, attrs, b }) => ({
    theta: () => {
      const g = grad.grid;
      const r = rankOf(g) - 2;
      const identity = Array.from({ length: r * (r + 1) }, (_, i) => (i % (r + 2) === 0 ? 1 : 0));
      // In 16 bits the runtime fails where it folds the grid of a constant.
      const wide = dtypeOf(theta) === "float64" ? "float64" : "float32";
      const one = b.cast(b.constant(float32Tensor(identity, [1, r, r + 1])), wide);
      const image = b.slice(size, { starts: [1], ends: [r + 2], axes: [0] });
      const places = b.op("AffineGrid", [one, b.concat([b.ints([1]), image], 0)], {
        align_corners: attrs.align_corners,
      });
      const points = productOf(sizesOf(g, 1, r + 1));
      const rows = reshapeTo(b, g, [sizeAt(g, 0), points, r]);
      const grid = b.castLike(reshapeTo(b, places, [points, r]), g);
      const turned = b.matmul(b.transpose(rows, [0, 2, 1]), grid);
      const moved = b.reduceSum(b.transpose(rows, [0, 2, 1]), [2]);
      return stateShape(b.concat([turned, moved], 2), theta);
    },
  }),
  hostInputs: ["size"],
});

function affineGrid(
  theta: NDArray,
  sizes: readonly number[],
  alignCorners: boolean,
  exact: boolean,
): NDArray {
  const r = sizes.length;
  const [batch = 0] = theta.shape;
  const points = countElements(sizes);
  const values = new Float64Array(batch * points * r);
  for (let p = 0; p < points; p++) {
    let rest = p;
    const place = new Array<number>(r + 1).fill(1);
    for (let axis = r - 1; axis >= 0; axis--) {
      const size = sizes[axis] ?? 1;
      place[r - 1 - axis] = coordinate(rest % size, size, alignCorners);
      rest = Math.floor(rest / size);
    }
    for (let n = 0; n < batch; n++) {
      for (let i = 0; i < r; i++) {
        const row = (n * r + i) * (r + 1);
        values[(n * points + p) * r + i] = place.reduce(
          (sum, c, j) => sum + c * (theta.numbers[row + j] ?? 0),
          0,
        );
      }
    }
  }
  return fromNumbers(theta.dtype, [batch, ...sizes, r], values, exact);
}

function coordinate(index: number, size: number, alignCorners: boolean): number {
  if (!alignCorners) return (2 * index + 1) / size - 1;
  return size === 1 ? 0 : (2 * index) / (size - 1) - 1;
}
