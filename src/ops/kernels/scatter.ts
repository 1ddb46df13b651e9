/** Evaluation of Scatter operators: updates combined with the elements that they point at. */
import { InternalError } from "../../diagnostics/define.ts";
import { type Elements, fromNumbers, NDArray } from "../ndarray.ts";
import { maximum, minimum } from "./extremum.ts";

const numbers: Readonly<Record<string, (old: number, update: number) => number>> = {
  none: (_, update) => update,
  add: (old, update) => old + update,
  mul: (old, update) => old * update,
  max: maximum.numbers,
  min: minimum.numbers,
};

const bigints: Readonly<Record<string, (old: bigint, update: bigint) => bigint>> = {
  none: (_, update) => update,
  add: (old, update) => old + update,
  mul: (old, update) => old * update,
  max: maximum.bigints,
  min: minimum.bigints,
};

/** Combines updates, one after the other, with the elements of `x` at flat offsets. */
export function scatterArray(
  x: NDArray,
  offsets: ArrayLike<number>,
  updates: NDArray,
  reduction: string,
  exact: boolean,
): NDArray {
  if (x.data instanceof Float64Array) {
    const step = numbers[reduction];
    if (step === undefined) throw new InternalError(`reduction "${reduction}"`);
    const out = x.data.slice();
    const values = updates.numbers;
    for (let i = 0; i < values.length; i++) {
      const at = offsets[i] ?? 0;
      out[at] = step(out[at] ?? 0, values[i] ?? 0);
    }
    return fromNumbers(x.dtype, x.shape, out, exact);
  }
  const out: Elements = x.data.slice();
  const step = bigints[reduction];
  for (let i = 0; i < updates.size; i++) {
    const at = offsets[i] ?? 0;
    const [old, update] = [out[at], updates.data[i]];
    if (typeof old === "bigint" && typeof update === "bigint" && step !== undefined)
      out[at] = step(old, update);
    else if (typeof update === "string" && reduction === "none") out[at] = update;
    else throw new InternalError(`reduction "${reduction}" of ${x.dtype}`);
  }
  return new NDArray(x.dtype, x.shape, out);
}
