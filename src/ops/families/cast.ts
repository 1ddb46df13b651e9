/** Cast and CastLike. */
import { InternalError } from "../../diagnostics/define.ts";
import type { Dim } from "../../ir/dim.ts";
import { type DType, dtypeFromCode, isFloat, isInteger } from "../../ir/dtype.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { defineOp } from "../define.ts";
import { roundElement } from "../elements.ts";
import { dtypeOf } from "../facts.ts";
import { withContent } from "../kernels/content.ts";
import { convertElements } from "../kernels/convert.ts";
import { partsOfElements, partsOfLinear } from "../kernels/parts.ts";
import { selectElements } from "../kernels/select-along.ts";
import { int, text } from "../params.ts";
import type { Inferred } from "../record.ts";

const attributes = { saturate: int(1), round_mode: text("up") };

export const Cast = defineOp({
  type: "Cast",
  versions: [1, 6, 9, 13, 19, 21, 23, 24, 25, 28],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { to: int(0), ...attributes },
  select: selectElements,
  infer: ({ in: { x }, attrs: { to } }) => [inferCast(x, dtypeFromCode(to))],
  evaluate: ({ in: { x }, attrs: { to, saturate }, exact }) => {
    const dtype = dtypeFromCode(to);
    if (dtype === undefined) throw new InternalError(`Cast to type ${to}`);
    return [convertElements(x, dtype, exact, saturate !== 0)];
  },
  parts: (context) =>
    isFloat(dtypeOf(context.node.output(0))) ? partsOfLinear(context) : partsOfElements(context),
  precision: "exact",
  cost: { overwrites: "x" },
  carries: "x",
  // A result that is no float carries no gradient, which the driver knows from its type. Quantised numbers that become
  // floats keep theirs as it is.
  gradient: ({ in: { x }, grad, b }) => ({
    x: () => (isFloat(dtypeOf(x)) ? b.cast(grad.y, dtypeOf(x)) : grad.y),
  }),
  quantized: { reads: ["x"] },
  rankFree: true,
});

export const CastLike = defineOp({
  type: "CastLike",
  versions: [15, 19, 21, 23, 24, 25],
  inputs: ["x", "like"],
  outputs: ["y"],
  attributes,
  infer: ({ in: { x, like } }) => [inferCast(x, like.tensorType?.dtype)],
  evaluate: ({ in: { x, like }, attrs: { saturate }, exact }) => [
    convertElements(x, like.dtype, exact, saturate !== 0),
  ],
  parts: partsOfElements,
  precision: "exact",
  gradient: ({ in: { x, like }, grad, b }) => ({
    x: () => b.cast(grad.y, dtypeOf(x)),
    // Only its type is read.
    like: () => b.zerosLike(like),
  }),
});

function inferCast(x: Value, dtype: DType | undefined): Inferred {
  if (dtype === undefined) return undefined;
  if (x.tensorType === undefined) return tensorType(dtype);
  const content = x.content?.map((element) => castDim(element, dtype));
  const known = content?.every((element): element is Dim => element !== undefined) === true;
  return withContent(dtype, x.tensorType.shape, known ? content : undefined);
}

/**
 * A whole number under another type; undefined where the type is no whole number, or the value may not fit.
 */
function castDim(element: Dim, dtype: DType): Dim | undefined {
  if (dtype === "int64" || dtype === "int32") return element;
  if (typeof element !== "number") return undefined;
  if (dtype === "bool") return element === 0 ? 0 : 1;
  return isInteger(dtype) && roundElement(dtype, element) === element ? element : undefined;
}
