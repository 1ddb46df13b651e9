/**
 * Shapes in emitted graphs: constants where sizes are known at compile time, else read from tensors at run
 * time.
 */
import { InternalError } from "../../diagnostics/define.ts";
import { type Dim, dimsEqual } from "../../ir/dim.ts";
import { staticShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { shapeOf } from "../facts.ts";

/** The size of one axis of a value, read at run time. */
export interface AxisSize {
  readonly of: Value;
  readonly axis: number;
}

/** A size that a shape is made of; -1 where the runtime is to find it, at most once. */
export type Size = number | AxisSize;

/** The size of an axis (from the end where negative): a number where it is known. */
export function sizeAt(value: Value, axis: number): Size {
  const shape = shapeOf(value);
  const position = axis < 0 ? axis + shape.length : axis;
  const dim = shape[position];
  if (dim === undefined) throw new InternalError(`"${value.name}" has no axis ${axis}`);
  return typeof dim === "number" ? dim : { of: value, axis: position };
}

/** The sizes of all axes, or of those from `start` up to `end`. */
export function sizesOf(value: Value, start = 0, end = shapeOf(value).length): Size[] {
  return Array.from({ length: Math.max(0, end - start) }, (_, index) => sizeAt(value, start + index));
}

/**
 * The product of sizes, -1 where one is not known: for the one axis of a Reshape that the runtime may find.
 */
export function productOf(sizes: readonly Size[]): number {
  return sizes.some((size) => typeof size !== "number" || size < 0)
    ? -1
    : sizes.reduce<number>((product, size) => product * (typeof size === "number" ? size : 1), 1);
}

/** An int64 vector of the sizes. Sizes that follow each other in one value are read together. */
export function shapeVector(b: OpBuilder, sizes: readonly Size[]): Value {
  const whole = wholeShape(sizes);
  if (whole !== undefined) return b.op("Shape", [whole]);
  const parts: Value[] = [];
  for (let at = 0; at < sizes.length; ) {
    const first = sizes[at];
    let end = at + 1;
    if (first === undefined) break;
    if (typeof first === "number") {
      while (typeof sizes[end] === "number") end += 1;
      parts.push(b.ints(sizes.slice(at, end).filter((size) => typeof size === "number")));
    } else {
      while (follows(sizes[end - 1], sizes[end])) end += 1;
      parts.push(b.op("Shape", [first.of], { start: first.axis, end: first.axis + end - at }));
    }
    at = end;
  }
  return parts.length === 0 ? b.ints([]) : b.concat(parts, 0);
}

/**
 * Reshape by a constant wherever one says it: with -1 for one unknown size and 0 for sizes that stay in their
 * place.
 */
export function reshapeTo(b: OpBuilder, x: Value, sizes: readonly Size[]): Value {
  const numbers = sizes.filter((size) => typeof size === "number");
  if (numbers.length === sizes.length) {
    if (numbers.join() === staticShape(x.tensorType?.shape)?.join()) return x;
    return b.op("Reshape", [x, b.ints(numbers)], { allowzero: numbers.includes(0) ? 1 : undefined });
  }
  const constant = numbers.includes(0) ? undefined : constantTarget(x, sizes);
  if (constant !== undefined) return b.reshape(x, constant);
  // A size of 0 means itself there, unless -1 forbids it.
  return b.op("Reshape", [x, shapeVector(b, sizes)], { allowzero: numbers.includes(-1) ? undefined : 1 });
}

/** Gives `x` the shape of another value of as many elements. */
export function reshapeLike(b: OpBuilder, x: Value, like: Value): Value {
  if (like.tensorType?.shape === undefined) return b.op("Reshape", [x, b.shape(like)], { allowzero: 1 });
  return reshapeTo(b, x, sizesOf(like));
}

/**
 * Gives a result of the rule at hand the shape of `like`, which the rule knows it to have where inference may
 * not see it: sizes that only meet at run time would make the driver compare shapes there.
 */
export function stateShape(value: Value, like: Value): Value {
  const [type, shape] = [value.tensorType, like.tensorType?.shape];
  if (type !== undefined && shape !== undefined) value.type = tensorType(type.dtype, shape);
  return value;
}

/** The value whose shape the sizes are, some of them as the numbers that they are known to be. */
function wholeShape(sizes: readonly Size[]): Value | undefined {
  const source = sizes.find((size) => typeof size !== "number")?.of;
  const shape = source?.tensorType?.shape;
  if (shape?.length !== sizes.length) return undefined;
  const same = sizes.every((size, axis) =>
    typeof size === "number" ? size === shape[axis] : size.of === source && size.axis === axis,
  );
  return same ? source : undefined;
}

function follows(left: Size | undefined, right: Size | undefined): boolean {
  if (typeof left !== "object" || typeof right !== "object") return false;
  return left.of === right.of && left.axis + 1 === right.axis;
}

function constantTarget(x: Value, sizes: readonly Size[]): readonly number[] | undefined {
  const from = x.tensorType?.shape ?? [];
  const target = sizes.map((size, axis) => {
    if (typeof size === "number") return size;
    const here = from[axis];
    return here !== undefined && dimsEqual(here, dimAt(size)) ? 0 : -1;
  });
  return target.filter((size) => size === -1).length <= 1 ? target : undefined;
}

function dimAt({ of, axis }: AxisSize): Dim {
  return shapeOf(of)[axis] ?? Number.NaN;
}
