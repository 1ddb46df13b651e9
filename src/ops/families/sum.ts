/** Sum and Mean over any number of broadcast operands. */
import { addDims } from "../../ir/dim.ts";
import { defineOp } from "../define.ts";
import { mapNumbers, mapPair } from "../kernels/elementwise.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { partsOfElements, partsOfSum } from "../kernels/parts.ts";
import type { NDArray } from "../ndarray.ts";

const versions = [1, 6, 8, 13];

export const Sum = defineOp({
  type: "Sum",
  versions,
  inputs: ["xs..."],
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { xs } }) => [inferBroadcast(node, xs, undefined, addDims)],
  evaluate: ({ in: { xs }, exact }) => [mapNumbers(addAll(xs), (sum) => sum, { exact })],
  parts: partsOfSum,
  precision: "follow",
  gradient: ({ grad: { y: g } }) => ({ xs: () => g }),
  rankFree: true,
});

export const Mean = defineOp({
  type: "Mean",
  versions,
  inputs: ["xs..."],
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { xs } }) => [inferBroadcast(node, xs)],
  evaluate: ({ in: { xs }, exact }) => [mapNumbers(addAll(xs), (sum) => sum / xs.length, { exact })],
  parts: partsOfElements,
  precision: "follow",
  gradient: ({ in: { xs }, grad: { y: g }, b }) => ({
    xs: () => (xs.length === 1 ? g : b.mul(g, 1 / xs.length)),
  }),
  rankFree: true,
});

/** The sum in doubles, not yet rounded to the type. */
function addAll(xs: readonly NDArray[]): NDArray {
  return xs.reduce((left, right) => mapPair(left, right, { numbers: (a, b) => a + b }, { exact: true }));
}
