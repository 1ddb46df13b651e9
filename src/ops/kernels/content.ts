/** What shape rules ask of operands that hold shapes, axes, bounds or indices. */
import { constantOf, smallIntegers } from "../../ir/constant.ts";
import { type Dim, unknownDim } from "../../ir/dim.ts";
import type { DType } from "../../ir/dtype.ts";
import { type Shape, unknownShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { Inferred } from "../record.ts";

/** Longest content that shape rules make. */
export const contentLimit = 1024;

/**
 * Elements of an integer operand of rank 0 or 1, symbolic where they are; undefined where nothing is known.
 */
export function contentOf(value: Value | undefined): readonly Dim[] | undefined {
  return value?.content ?? smallIntegers(constantOf(value));
}

/**
 * The elements of a shape vector; those that nothing is known of are new unknowns. Undefined where the length
 * is not known, or more than any shape has.
 */
export function dimsIn(vector: Value | undefined): readonly Dim[] | undefined {
  const content = contentOf(vector);
  if (content !== undefined) return content;
  const length = vector?.tensorType?.shape?.[0];
  return typeof length === "number" && length <= contentLimit ? unknownShape(length) : undefined;
}

/** A result with content, where there is any and the rank allows it. */
export function withContent(
  dtype: DType,
  shape: Shape | undefined,
  content: readonly Dim[] | undefined,
): Inferred {
  const type = tensorType(dtype, shape);
  if (content === undefined || shape === undefined || shape.length > 1) return type;
  const length = shape.length === 0 ? 1 : shape[0];
  return content.length === length && content.length <= contentLimit ? { type, content } : type;
}

/**
 * The content of an operand, or unknowns where only its length is known, so that what is beside it is not
 * lost.
 */
export function contentOrUnknowns(value: Value): readonly Dim[] | undefined {
  if (value.content !== undefined) return value.content;
  const shape = value.tensorType?.shape;
  if (shape?.length === 0) return [unknownDim()];
  const length = shape?.length === 1 ? shape[0] : undefined;
  return typeof length === "number" && length <= contentLimit ? unknownShape(length) : undefined;
}
