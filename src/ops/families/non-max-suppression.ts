/** NonMaxSuppression: the best boxes of those that overlap. */
import { unknownDim } from "../../ir/dim.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp, zero } from "../define.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { int } from "../params.ts";

/**
 * Indices `[K, 3]` (sample, class, box) of boxes that no better one overlaps by more than a threshold (ONNX
 * NonMaxSuppression 11), by sample, class and score, equal scores in their order.
 */
export const NonMaxSuppression = defineOp({
  type: "NonMaxSuppression",
  versions: [10, 11],
  inputs: ["boxes", "scores", "most?", "overlap?", "least?"],
  ranks: { boxes: 3, scores: 3, most: [0, 1], overlap: [0, 1], least: [0, 1] },
  outputs: ["selected"],
  attributes: { center_point_box: int(0) },
  infer: () => [tensorType("int64", [unknownDim(), 3])],
  evaluate: ({ in: { boxes, scores, most, overlap, least }, attrs }) => {
    const [samples = 0, classes = 0, count = 0] = scores.shape;
    const limit = most?.toNumbers()[0] ?? 0;
    const rows: number[] = [];
    for (let n = 0; n < samples; n++) {
      const corners = Array.from({ length: count }, (_, i) =>
        boxAt(boxes, n * count + i, attrs.center_point_box !== 0),
      );
      for (let c = 0; c < classes; c++) {
        const first = (n * classes + c) * count;
        const own = scores.numbers.subarray(first, first + count);
        const kept = suppress(corners, own, overlap?.numbers[0] ?? 0, least?.numbers[0]);
        for (const index of kept.slice(0, limit)) rows.push(n, c, index);
      }
    }
    return [fromNumbers("int64", [rows.length / 3, 3], rows)];
  },
  precision: "exact",
  gradient: zero("the result is positions, constant between changes of the winners"),
  hostInputs: ["most", "overlap", "least"],
});

interface Box {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

function boxAt(boxes: NDArray, index: number, centered: boolean): Box {
  const [a = 0, b = 0, c = 0, d = 0] = boxes.numbers.subarray(4 * index, 4 * index + 4);
  if (centered) return { left: a - c / 2, right: a + c / 2, top: b - d / 2, bottom: b + d / 2 };
  return { top: Math.min(a, c), bottom: Math.max(a, c), left: Math.min(b, d), right: Math.max(b, d) };
}

/** Indices of those kept, the best first. */
function suppress(
  boxes: readonly Box[],
  scores: Float64Array,
  overlap: number,
  least: number | undefined,
): number[] {
  const order = [...scores.keys()]
    .filter((i) => least === undefined || (scores[i] ?? 0) > least)
    .sort((i, j) => (scores[j] ?? 0) - (scores[i] ?? 0) || i - j);
  const kept: number[] = [];
  for (const index of order) {
    const box = boxes[index];
    if (box === undefined) continue;
    const isCovered = kept.some((other) => {
      const better = boxes[other];
      return better !== undefined && sharedPart(box, better) > overlap;
    });
    if (!isCovered) kept.push(index);
  }
  return kept;
}

/** Area of the intersection over that of the union; 0 for boxes without area. */
function sharedPart(left: Box, right: Box): number {
  const width = Math.min(left.right, right.right) - Math.max(left.left, right.left);
  const height = Math.min(left.bottom, right.bottom) - Math.max(left.top, right.top);
  if (width <= 0 || height <= 0 || areaOf(left) <= 0 || areaOf(right) <= 0) return 0;
  const shared = width * height;
  return shared / (areaOf(left) + areaOf(right) - shared);
}

function areaOf({ top, left, bottom, right }: Box): number {
  return (bottom - top) * (right - left);
}
