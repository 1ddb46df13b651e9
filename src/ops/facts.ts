/** Facts about values that rules rely on, as errors instead of undefined where they are missing. */
import { InternalError } from "../diagnostics/define.ts";
import type { Dim } from "../ir/dim.ts";
import type { DType } from "../ir/dtype.ts";
import type { Shape } from "../ir/shape.ts";
import type { Value } from "../ir/value.ts";

/** Element type of a tensor value. @throws InternalError where it is not known, since a rule relies on it. */
export function dtypeOf(value: Value): DType {
  const dtype = value.tensorType?.dtype;
  if (dtype === undefined) throw new InternalError(`the type of "${value.name}" is not known here`);
  return dtype;
}

/** Shape of a tensor value. @throws InternalError where not even the rank is known. */
export function shapeOf(value: Value): Shape {
  const shape = value.tensorType?.shape;
  if (shape === undefined) throw new InternalError(`the rank of "${value.name}" is not known here`);
  return shape;
}

/** Rank of a tensor value. @throws InternalError where it is not known. */
export function rankOf(value: Value): number {
  return shapeOf(value).length;
}

/** A dimension of a value, counted from the end where `axis` is negative. */
export function dimOf(value: Value, axis: number): Dim {
  const dim = shapeOf(value).at(axis);
  if (dim === undefined) throw new InternalError(`"${value.name}" has no axis ${axis}`);
  return dim;
}

/** Whether the last axis is known to be shorter; a known length is taken for shorter than one that may vary. */
export function isNarrower(value: Value, than: Value): boolean {
  const [width, other] = [value, than].map(({ tensorType }) => tensorType?.shape?.at(-1));
  return typeof width === "number" && (typeof other !== "number" || width < other);
}
