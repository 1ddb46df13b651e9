/** How much a Pad has to add to bring the gradient of a slice back to the size of its operand. */
import type { Dim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { rankOf, shapeOf } from "../facts.ts";
import { dimsIn } from "./content.ts";
import { countUp } from "./rearrange.ts";
import { axisOf, knownIntegers } from "./reduction-axes.ts";
import { shapeVector, sizeAt } from "./shape-vector.ts";
import { clampSlice } from "./slice-bounds.ts";

/** Operands of a Slice. */
export interface SliceBounds {
  readonly starts: Value;
  readonly ends: Value;
  readonly axes: Value | undefined;
  readonly steps: Value | undefined;
}

/** Operands of the Pad: sizes before and after, and the axes that they belong to. */
export interface PadSizes {
  readonly sizes: Value;
  readonly axes: readonly number[];
}

/** Zeros around one axis: known, or vectors of one element. */
interface Margins {
  readonly before: number | Value;
  readonly after: number | Value;
}

/**
 * The Pad that undoes a Slice of steps 1; undefined where axes or steps are others or known at run time only.
 */
export function padSizes(
  b: OpBuilder,
  node: Node,
  g: Value,
  x: Value,
  bounds: SliceBounds,
): PadSizes | undefined {
  const [starts, ends] = [dimsIn(bounds.starts), dimsIn(bounds.ends)];
  const rank = rankOf(x);
  const list = bounds.axes === undefined ? starts && countUp(starts.length) : knownIntegers(bounds.axes);
  const steps = bounds.steps === undefined ? [] : knownIntegers(bounds.steps);
  if (list === undefined || steps === undefined || steps.some((step) => step !== 1)) return undefined;
  const margins = list.map((axis, index) => {
    const at = axisOf(node, axis, rank);
    return marginsOf(b, {
      g,
      x,
      axis: at,
      start: starts?.[index],
      end: ends?.[index],
      starts: bounds.starts,
      index,
    });
  });
  const parts = [...margins.map(({ before }) => before), ...margins.map(({ after }) => after)];
  return { sizes: joinSizes(b, parts), axes: list };
}

/** One int64 vector of numbers and one-element vectors. */
export function joinSizes(b: OpBuilder, parts: readonly (number | Value)[]): Value {
  const pieces: Value[] = [];
  for (let at = 0; at < parts.length; ) {
    const run: number[] = [];
    for (let part = parts[at]; typeof part === "number"; part = parts[++at]) run.push(part);
    if (run.length > 0) pieces.push(b.ints(run));
    const part = parts[at];
    if (part !== undefined && typeof part !== "number") {
      pieces.push(part);
      at += 1;
    }
  }
  return b.concat(pieces, 0);
}

function marginsOf(
  b: OpBuilder,
  slice: {
    readonly g: Value;
    readonly x: Value;
    readonly axis: number;
    readonly start: Dim | undefined;
    readonly end: Dim | undefined;
    readonly starts: Value;
    readonly index: number;
  },
): Margins {
  const { g, x, axis, start, end } = slice;
  const size = shapeOf(x)[axis];
  if (typeof size === "number" && typeof start === "number" && typeof end === "number") {
    const range = clampSlice(size, start, end, 1);
    return { before: range.start, after: size - range.start - range.count };
  }
  const [whole, taken] = [shapeVector(b, [sizeAt(x, axis)]), shapeVector(b, [sizeAt(g, axis)])];
  const rest = (known: number | Value): Value => {
    const missing = b.sub(whole, taken);
    return known === 0 ? missing : b.sub(missing, known);
  };
  const toEnd = typeof end === "number" && end >= 2 ** 31 - 1;
  // Bounds from the front are cut at the size, those from the end at 0; the other margin then follows.
  if (toEnd) return { before: rest(0), after: 0 };
  if (typeof start === "number" && start >= 0) return { before: start, after: rest(start) };
  const before = startAt(b, slice.starts, slice.index, whole);
  return { before, after: rest(before) };
}

/** Where a slice begins, computed as the runtime does. */
function startAt(b: OpBuilder, starts: Value, index: number, size: Value): Value {
  const bound = b.slice(starts, { starts: [index], ends: [index + 1], axes: [0] });
  const start = b.cast(bound, "int64");
  const fromFront = b.where(b.less(start, 0), b.add(start, size), start);
  return b.min(b.max(fromFront, 0), size);
}
