/** Running sums and products along one axis. */
import { InternalError } from "../../diagnostics/define.ts";
import { allocate, fromNumbers, NDArray, stridesOf } from "../ndarray.ts";

/** Direction of a scan, and whether an element leaves itself out. */
export interface ScanOptions {
  /** Position of the axis. */
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
  readonly exact: boolean;
}

/** An associative operation with its neutral element, on doubles and on 64-bit integers. */
export interface ScanOperation {
  readonly numbers: { readonly start: number; readonly step: (sum: number, element: number) => number };
  readonly bigints: { readonly start: bigint; readonly step: (sum: bigint, element: bigint) => bigint };
}

/** Replaces each element by the fold of those before it along the axis. */
export function scanArray(x: NDArray, operation: ScanOperation, options: ScanOptions): NDArray {
  const { data } = x;
  if (data instanceof Float64Array) {
    const out = new Float64Array(x.size);
    const { start, step } = operation.numbers;
    for (const line of linesAlong(x, options)) {
      let sum = start;
      for (const at of line) {
        const next = step(sum, data[at] ?? start);
        out[at] = options.exclusive ? sum : next;
        sum = next;
      }
    }
    return fromNumbers(x.dtype, x.shape, out, options.exact);
  }
  const out = allocate(x.dtype, x.size);
  const { start, step } = operation.bigints;
  for (const line of linesAlong(x, options)) {
    let sum = start;
    for (const at of line) {
      const element = data[at];
      if (typeof element !== "bigint") throw new InternalError(`running folds of ${x.dtype}`);
      const next = step(sum, element);
      out[at] = options.exclusive ? sum : next;
      sum = next;
    }
  }
  return new NDArray(x.dtype, x.shape, out);
}

/** Flat indices of each line along the axis, in the order of the scan. */
function* linesAlong(x: NDArray, { axis, reverse }: ScanOptions): Generator<number[]> {
  const length = x.shape[axis] ?? 1;
  const stride = stridesOf(x.shape)[axis] ?? 1;
  for (let first = 0; first < x.size; first++) {
    if (Math.floor(first / stride) % length !== 0) continue;
    const line = Array.from({ length }, (_, i) => first + i * stride);
    yield reverse ? line.reverse() : line;
  }
}
