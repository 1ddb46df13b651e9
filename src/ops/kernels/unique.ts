/** Evaluation of Unique. */
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { countUp, permuteAxes, pickAlongAxes } from "./rearrange.ts";

type Element = number | bigint | string;

/**
 * Unique elements, or unique slices along an axis.
 *
 * @returns them, where each first occurs, which of them each one of the operand is, and how often each
 * occurs.
 */
export function findUnique(
  x: NDArray,
  axis: number | undefined,
  sorted: boolean,
): [NDArray, NDArray, NDArray, NDArray] {
  const flat = axis === undefined ? x.reshaped([x.size]) : x;
  const at = axis ?? 0;
  const length = flat.shape[at] ?? 0;
  const front = permuteAxes(flat, [at, ...countUp(flat.rank).filter((other) => other !== at)]);
  const width = length === 0 ? 0 : front.size / length;
  const rows = countUp(length).map((row) =>
    countUp(width).map((i): Element => front.data[row * width + i] ?? 0),
  );
  const groups = new Map<string, { first: number; count: number; row: readonly Element[] }>();
  const keys = rows.map((row) => row.join("\u0000"));
  rows.forEach((row, index) => {
    const key = keys[index] ?? "";
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { first: index, count: 1, row });
    else group.count += 1;
  });
  const found = [...groups];
  if (sorted) found.sort(([, a], [, b]) => compareRows(a.row, b.row));
  const place = new Map(found.map(([key], index) => [key, index]));
  const first = found.map(([, group]) => group.first);
  const ints = (values: readonly number[]): NDArray => fromNumbers("int64", [values.length], values);
  return [
    pickAlongAxes(flat, flat.shape.map(countUp).with(at, first)),
    ints(first),
    ints(keys.map((key) => place.get(key) ?? 0)),
    ints(found.map(([, group]) => group.count)),
  ];
}

function compareRows(left: readonly Element[], right: readonly Element[]): number {
  for (let i = 0; i < left.length; i++) {
    const [a = 0, b = 0] = [left[i], right[i]];
    if (a < b) return -1;
    if (a > b) return 1;
  }
  return 0;
}
