/** Logic on truth values; known contents are 0 and 1. */
import { type Dim, unknownDim } from "../../ir/dim.ts";
import { defineOp, zero } from "../define.ts";
import { mapPair } from "../kernels/elementwise.ts";
import { inferBroadcast } from "../kernels/infer-broadcast.ts";
import { partsOfElements } from "../kernels/parts.ts";
import { selectElements } from "../kernels/select-along.ts";
import { defineUnary } from "../kernels/unary.ts";
import type { Op } from "../record.ts";

const truth = zero("operands and result are truth values");

export const And = defineLogic("And", (x, y) => (x !== 0 && y !== 0 ? 1 : 0), 0);
export const Or = defineLogic("Or", (x, y) => (x !== 0 || y !== 0 ? 1 : 0), 1);
export const Xor = defineLogic("Xor", (x, y) => ((x !== 0) !== (y !== 0) ? 1 : 0));

export const Not = defineUnary({
  type: "Not",
  versions: [1],
  attributes: {},
  precision: "exact",
  value: (x) => (x === 0 ? 1 : 0),
  content: (x) => (typeof x === "number" ? Number(x === 0) : unknownDim()),
  gradient: truth,
});

/** A binary operation; `decisive` is the operand that settles the result alone. */
function defineLogic(type: string, combine: (x: number, y: number) => number, decisive?: number): Op {
  const onContent = (x: Dim, y: Dim): Dim => {
    if (typeof x === "number" && typeof y === "number") return combine(x, y);
    return decisive !== undefined && (x === decisive || y === decisive) ? decisive : unknownDim();
  };
  return defineOp({
    type,
    versions: [1, 7],
    inputs: ["x", "y"],
    outputs: ["z"],
    attributes: {},
    select: selectElements,
    parts: partsOfElements,
    infer: ({ node, in: { x, y } }) => [inferBroadcast(node, [x, y], "bool", onContent)],
    evaluate: ({ in: { x, y }, exact }) => [mapPair(x, y, { numbers: combine }, { exact })],
    precision: "exact",
    gradient: truth,
  });
}
