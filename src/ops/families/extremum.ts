/** Max and Min over any number of broadcast operands. */
import { maxDims, minDims } from "../../ir/dim.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf } from "../facts.ts";
import { mapPair } from "../kernels/elementwise.ts";
import { maximum, minimum } from "../kernels/extremum.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { partsOfElements } from "../kernels/parts.ts";
import { selectElements } from "../kernels/select-along.ts";

const versions = [1, 6, 8, 12, 13];

export const Max = defineOp({
  type: "Max",
  versions,
  inputs: ["xs..."],
  outputs: ["y"],
  attributes: {},
  select: selectElements,
  parts: partsOfElements,
  infer: ({ node, in: { xs } }) => [inferBroadcast(node, xs, undefined, maxDims)],
  evaluate: ({ in: { xs }, exact }) => [xs.reduce((left, right) => mapPair(left, right, maximum, { exact }))],
  precision: "follow",
  gradient: ({ in: { xs }, out: { y }, grad: { y: g }, b }) => ({ xs: shareOfExtremum(b, xs, y, g) }),
  rankFree: true,
});

export const Min = defineOp({
  type: "Min",
  versions,
  inputs: ["xs..."],
  outputs: ["y"],
  attributes: {},
  select: selectElements,
  parts: partsOfElements,
  infer: ({ node, in: { xs } }) => [inferBroadcast(node, xs, undefined, minDims)],
  evaluate: ({ in: { xs }, exact }) => [xs.reduce((left, right) => mapPair(left, right, minimum, { exact }))],
  precision: "follow",
  gradient: ({ in: { xs }, out: { y }, grad: { y: g }, b }) => ({ xs: shareOfExtremum(b, xs, y, g) }),
  rankFree: true,
});

/** Gradient of operand `index`: that of the result, split evenly among the operands that equal it. */
function shareOfExtremum(b: OpBuilder, xs: readonly Value[], y: Value, g: Value): (index: number) => Value {
  let share: Value | undefined;
  return (index) => {
    const [x, other] = [xs[index] ?? y, xs[1 - index]];
    if (xs.length === 1) return g;
    if (xs.length === 2 && other !== undefined) {
      return b.where(b.equal(x, other), b.mul(g, 0.5), b.where(b.equal(x, y), g, 0));
    }
    const hits = (): Value[] => xs.map((operand) => b.cast(b.equal(operand, y), dtypeOf(y)));
    share ??= b.div(
      g,
      hits().reduce((sum, hit) => b.add(sum, hit)),
    );
    return b.where(b.equal(x, y), share, 0);
  };
}
