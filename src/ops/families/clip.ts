/** Clip: limits elements to an interval. */
import type { Node } from "../../ir/node.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf } from "../facts.ts";
import { mapPair } from "../kernels/elementwise.ts";
import { maximum, minimum } from "../kernels/extremum.ts";
import { partsOfElements } from "../kernels/parts.ts";

export const Clip = defineOp({
  type: "Clip",
  versions: [1, 6, 11, 12, 13],
  inputs: ["x", "min?", "max?"],
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => [x.type],
  evaluate: ({ in: { x, min, max }, exact }) => {
    const raised = min === undefined ? x : mapPair(x, min, maximum, { exact });
    return [max === undefined ? raised : mapPair(raised, max, minimum, { exact })];
  },
  parts: partsOfElements,
  precision: "follow",
  cost: { overwrites: "x" },
  // An element that is not changed passes its gradient on, also at a bound; a bound takes those of the elements that it
  // replaced. Where min is above max every element is replaced by max.
  gradient: ({ in: { x, min, max }, out: { y }, grad: { y: g }, b }) => ({
    x: () => b.where(b.equal(x, y), g, 0),
    ...(min !== undefined && {
      min: () => {
        const below = b.less(x, min);
        return b.where(max === undefined ? below : b.and(below, b.less(min, max)), g, 0);
      },
    }),
    ...(max !== undefined && {
      max: () => {
        const above = b.greater(x, max);
        return b.where(min === undefined ? above : b.or(above, b.less(max, min)), g, 0);
      },
    }),
  }),
  upgrades: { 11: moveBoundsToInputs },
});

/** Version 11 made inputs of the attributes `min` and `max`; the largest floats were their defaults. */
function moveBoundsToInputs(node: Node, b: OpBuilder): void {
  const x = node.input(0);
  if (x === undefined) return;
  const bounds = ["min", "max"].map((name) => {
    const bound = node.float(name, undefined);
    node.attributes.delete(name);
    return bound === undefined || Math.abs(bound) > largestFloat * 0.999 ? null : b.scalar(bound, dtypeOf(x));
  });
  const [min = null, max = null] = bounds;
  if (min !== null || max !== null) node.setInput(1, min);
  if (max !== null) node.setInput(2, max);
}

const largestFloat = 3.4028234663852886e38;
