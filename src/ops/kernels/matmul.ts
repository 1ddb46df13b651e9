/** Evaluation of matrix products. */
import { InternalError } from "../../diagnostics/define.ts";
import { countElements } from "../../ir/shape.ts";
import { fromNumbers, NDArray } from "../ndarray.ts";
import { broadcastOffsets, commonShape } from "./elementwise.ts";

/**
 * NumPy's matmul: batches broadcast, vectors become a row or a column that is dropped again.
 *
 * @param scale factor of the result, applied before it is rounded.
 */
export function multiplyMatrices(left: NDArray, right: NDArray, exact: boolean, scale = 1): NDArray {
  const a = left.rank === 1 ? left.reshaped([1, left.size]) : left;
  const b = right.rank === 1 ? right.reshaped([right.size, 1]) : right;
  const [rows = 0, inner = 0] = a.shape.slice(-2);
  const columns = b.shape.at(-1) ?? 0;
  if (inner !== b.shape.at(-2)) throw new InternalError(`product of [${left.shape}] and [${right.shape}]`);
  const [batchA, batchB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const batch = commonShape(batchA, batchB);
  const [startsA, startsB] = [broadcastOffsets(batchA, batch), broadcastOffsets(batchB, batch)];
  const shape = [...batch, ...(left.rank === 1 ? [] : [rows]), ...(right.rank === 1 ? [] : [columns])];
  const size = countElements(batch) * rows * columns;
  if (a.data instanceof BigInt64Array || a.data instanceof BigUint64Array) {
    const out = a.data instanceof BigInt64Array ? new BigInt64Array(size) : new BigUint64Array(size);
    const [x, y] = [a.data, b.data];
    forEachProduct(startsA, startsB, { rows, inner, columns }, (to, from, other) => {
      out[to] = (out[to] ?? 0n) + BigInt(x[from] ?? 0) * BigInt(y[other] ?? 0);
    });
    return new NDArray(left.dtype, shape, out);
  }
  const out = new Float64Array(size);
  const [x, y] = [a.numbers, b.numbers];
  forEachProduct(startsA, startsB, { rows, inner, columns }, (to, from, other) => {
    out[to] = (out[to] ?? 0) + (x[from] ?? 0) * (y[other] ?? 0);
  });
  return fromNumbers(left.dtype, shape, scale === 1 ? out : out.map((sum) => sum * scale), exact);
}

function forEachProduct(
  startsA: Int32Array,
  startsB: Int32Array,
  { rows, inner, columns }: { readonly rows: number; readonly inner: number; readonly columns: number },
  add: (to: number, from: number, other: number) => void,
): void {
  for (let batch = 0; batch < startsA.length; batch++) {
    const [a, b] = [(startsA[batch] ?? 0) * rows * inner, (startsB[batch] ?? 0) * inner * columns];
    for (let i = 0; i < rows; i++) {
      for (let k = 0; k < inner; k++) {
        const to = (batch * rows + i) * columns;
        for (let j = 0; j < columns; j++) add(to + j, a + i * inner + k, b + k * columns + j);
      }
    }
  }
}
