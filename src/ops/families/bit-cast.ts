/** BitCast: the same bits under another type. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { bitsOf, type DType, dtypeFromCode } from "../../ir/dtype.ts";
import type { Node } from "../../ir/node.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp, none } from "../define.ts";
import { decodeElements, encodeElements } from "../elements.ts";
import { NDArray } from "../ndarray.ts";
import { int } from "../params.ts";

export const BitCast = defineOp({
  type: "BitCast",
  versions: [26],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { to: int(0) },
  infer: ({ node, in: { x }, attrs: { to } }) => {
    const type = x.tensorType;
    return [type && tensorType(targetOf(node, to, type.dtype), type.shape)];
  },
  evaluate: ({ node, in: { x }, attrs: { to } }) => {
    const dtype = targetOf(node, to, x.dtype);
    return [new NDArray(dtype, x.shape, decodeElements(dtype, encodeElements(x.dtype, x.data), x.size))];
  },
  precision: "exact",
  gradient: none("it takes the bits of a number for another one, which no derivative describes"),
});

function targetOf(node: Node, code: number, from: DType): DType {
  const to = dtypeFromCode(code);
  if (to !== undefined && to !== "string" && bitsOf(to) === bitsOf(from)) return to;
  const expected = `a type of ${bitsOf(from)} bits, as ${from} has`;
  throw operatorErrors.E_BAD_ATTRIBUTE(node, "to", expected, to ?? `code ${code}`);
}
