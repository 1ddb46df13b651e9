/** Operands that may say less than a full shape: Reshape, Expand and Slice know the rest from their data. */
import type { Dim } from "../../ir/dim.ts";
import { dimsEqual } from "../../ir/dim.ts";
import { compareLess } from "../../ir/dim-sign.ts";
import type { Node } from "../../ir/node.ts";
import type { Shape } from "../../ir/shape.ts";
import { knownIntegers } from "../../ops/kernels/reduction-axes.ts";
import { isFilledWith } from "../match.ts";

/** Another content for an operand that gives the same result for every size of the axes. */
type Relax = (node: Node, content: readonly Dim[], shape: Shape) => readonly Dim[] | undefined;

/** By operator and operand. */
const relaxations: Readonly<Record<string, Readonly<Record<number, Relax>>>> = {
  Reshape: { 1: relaxReshape },
  Expand: { 1: relaxExpand },
  Slice: { 2: relaxSliceEnds },
};

/** A content with fewer symbolic elements that means the same at this operand; undefined where there is none. */
export function relaxContent(node: Node, index: number): readonly Dim[] | undefined {
  const content = node.input(index)?.content;
  const shape = node.input(0)?.tensorType?.shape;
  if (node.domain !== "" || content === undefined || shape === undefined) return undefined;
  return relaxations[node.op]?.[index]?.(node, content, shape);
}

/**
 * 0 copies the axis at the same position. A single other axis is -1 only where the rest are numbers above 0: -1 cannot
 * be computed when another dimension is empty at run time, which the full shape would allow.
 */
function relaxReshape(node: Node, content: readonly Dim[], shape: Shape): readonly Dim[] | undefined {
  if (node.int("allowzero", 0) !== 0) return undefined;
  const symbolic = content.filter((dim) => typeof dim !== "number");
  if (symbolic.length === 1 && content.every((dim) => typeof dim !== "number" || dim > 0)) {
    return content.map((dim) => (typeof dim === "number" ? dim : -1));
  }
  const copied = content.map((dim, axis) =>
    typeof dim !== "number" && dimsEqual(dim, shape[axis] ?? Number.NaN) ? 0 : dim,
  );
  return copied.every((dim) => typeof dim === "number") ? copied : undefined;
}

/** 1 keeps the size of the operand's axis. */
function relaxExpand(_: Node, content: readonly Dim[], shape: Shape): readonly Dim[] {
  const offset = content.length - shape.length;
  return content.map((dim, axis) =>
    typeof dim !== "number" && dimsEqual(dim, shape[axis - offset] ?? Number.NaN) ? 1 : dim,
  );
}

/** An end at or behind the last element is any large number. */
function relaxSliceEnds(node: Node, content: readonly Dim[], shape: Shape): readonly Dim[] | undefined {
  const steps = node.input(4);
  if (steps !== undefined && !isFilledWith(steps, 1)) return undefined;
  const axes = node.input(3) === undefined ? content.map((_, axis) => axis) : knownIntegers(node.input(3));
  return content.map((end, index) => {
    const axis = axes?.[index];
    const size = axis === undefined ? undefined : shape.at(axis);
    const reaches = typeof end !== "number" && size !== undefined && compareLess(end, size) === false;
    return reaches ? Number.MAX_SAFE_INTEGER : end;
  });
}
