/** Slice and CenterCropPad: boxes cut out of a tensor. */
import type { Dim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { unknownShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { attributeToInput } from "../kernels/attribute-to-input.ts";
import { contentOf, dimsIn, withContent } from "../kernels/content.ts";
import { partsBeside } from "../kernels/parts.ts";
import { positionsOf, putBack } from "../kernels/positions.ts";
import { countUp, nowhere, pickAlongAxes } from "../kernels/rearrange.ts";
import { axisOf, knownIntegers } from "../kernels/reduction-axes.ts";
import { sizeAt, stateShape } from "../kernels/shape-vector.ts";
import { clampSlice, sliceLength } from "../kernels/slice-bounds.ts";
import { padSizes } from "../kernels/slice-gradient.ts";
import { padZeros } from "../kernels/zero-pad.ts";
import { ints } from "../params.ts";
import type { Inferred } from "../record.ts";

export const Slice = defineOp({
  type: "Slice",
  versions: [1, 10, 11, 13],
  inputs: ["x", "starts", "ends", "axes?", "steps?"],
  ranks: { x: [1], starts: 1, ends: 1, axes: 1, steps: 1 },
  outputs: ["y"],
  attributes: {},
  infer: ({ node, in: { x, starts, ends, axes, steps } }) => [inferSlice(node, x, starts, ends, axes, steps)],
  evaluate: ({ node, in: { x, starts, ends, axes, steps } }) => {
    const list = axes?.toNumbers() ?? countUp(starts.size);
    const [from, to, by] = [starts.toNumbers(), ends.toNumbers(), steps?.toNumbers()];
    const picks = x.shape.map(countUp);
    list.forEach((axis, index) => {
      const at = axisOf(node, axis, x.rank);
      const range = clampSlice(x.shape[at] ?? 0, from[index] ?? 0, to[index] ?? 0, by?.[index] ?? 1);
      picks[at] = countUp(range.count).map((i) => range.start + i * range.step);
    });
    return [pickAlongAxes(x, picks)];
  },
  parts: partsBeside(slicedAxes),
  precision: "follow",
  gradient: ({ node, in: { x, starts, ends, axes, steps }, grad, b }) => ({
    x: () => {
      const pads = padSizes(b, node, grad.y, x, { starts, ends, axes, steps });
      if (pads?.axes.length === 0) return grad.y;
      if (pads !== undefined) return stateShape(padZeros(b, grad.y, pads.sizes, b.ints(pads.axes)), x);
      const again = b.op("Slice", [positionsOf(b, x), starts, ends, axes ?? null, steps ?? null]);
      return putBack(b, x, grad.y, again, false);
    },
  }),
  upgrades: {
    10: (node, b) => {
      attributeToInput(node, b, "starts", 1);
      attributeToInput(node, b, "ends", 2);
      attributeToInput(node, b, "axes", 3);
    },
  },
  hostInputs: ["starts", "ends", "axes", "steps"],
  quantized: { reads: ["x"], makes: ["y"] },
});

export const CenterCropPad = defineOp({
  type: "CenterCropPad",
  versions: [18],
  inputs: ["x", "shape"],
  ranks: { x: [1], shape: 1 },
  outputs: ["y"],
  attributes: { axes: ints() },
  infer: ({ node, in: { x, shape }, attrs: { axes } }) => {
    const type = x.tensorType;
    if (type?.shape === undefined) return [type];
    const { length } = type.shape;
    const list = (axes ?? countUp(length)).map((axis) => axisOf(node, axis, length));
    const target = dimsIn(shape) ?? unknownShape(list.length);
    const dims = type.shape.map((dim, axis): Dim => target[list.indexOf(axis)] ?? dim);
    return [tensorType(type.dtype, dims)];
  },
  evaluate: ({ node, in: { x, shape }, attrs: { axes } }) => {
    const target = shape.toNumbers();
    const picks = x.shape.map(countUp);
    (axes ?? countUp(x.rank)).forEach((axis, index) => {
      const at = axisOf(node, axis, x.rank);
      const [size, wanted] = [x.shape[at] ?? 0, target[index] ?? 0];
      const shift = size > wanted ? Math.floor((size - wanted) / 2) : -Math.floor((wanted - size) / 2);
      picks[at] = countUp(wanted).map((i) => (i + shift < size ? Math.max(nowhere, i + shift) : nowhere));
    });
    return [pickAlongAxes(x, picks)];
  },
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, shape }, attrs: { axes }, b }) => [
      padAndCut(b, x, shape, axes?.map((axis) => axisOf(node, axis, rankOf(x))) ?? countUp(rankOf(x))),
    ],
  },
  hostInputs: ["shape"],
});

function inferSlice(
  node: Node,
  x: Value,
  starts: Value,
  ends: Value,
  axes: Value | undefined,
  steps: Value | undefined,
): Inferred {
  const type = x.tensorType;
  if (type?.shape === undefined) return type;
  const { shape } = type;
  const [from, to] = [dimsIn(starts), dimsIn(ends)];
  const by = steps === undefined ? undefined : (contentOf(steps) ?? []);
  const list = axes === undefined ? from && countUp(from.length) : knownIntegers(axes);
  if (list === undefined) return tensorType(type.dtype, unknownShape(shape.length));
  const dims = [...shape];
  let content = x.content;
  list.forEach((axis, index) => {
    const at = axisOf(node, axis, shape.length);
    const step = by === undefined ? 1 : by[index];
    const [size, start, end] = [at === undefined ? undefined : shape[at], from?.[index], to?.[index]];
    if (at === undefined || size === undefined) return;
    const [unknown = size] = unknownShape(1);
    const known = start !== undefined && end !== undefined && typeof step === "number" && step !== 0;
    dims[at] = known ? sliceLength(size, start, end, step) : unknown;
    content = known ? sliceContent(content, start, end, step) : undefined;
  });
  return withContent(type.dtype, dims, content);
}

function sliceContent(
  content: readonly Dim[] | undefined,
  start: Dim,
  end: Dim,
  step: number,
): readonly Dim[] | undefined {
  if (content === undefined || typeof start !== "number" || typeof end !== "number") return undefined;
  const range = clampSlice(content.length, start, end, step);
  return countUp(range.count).flatMap((i) => content[range.start + i * step] ?? []);
}

/** The same by a Pad to at least the target and a Slice to it (ONNX CenterCropPad, function body). */
function padAndCut(b: OpBuilder, x: Value, shape: Value, axes: readonly number[]): Value {
  const sizes = axes.map((axis) => sizeAt(x, axis));
  const wanted = knownIntegers(shape);
  const numbers = sizes.filter((size) => typeof size === "number");
  const list = b.ints(axes);
  if (wanted !== undefined && numbers.length === sizes.length) {
    const missing = wanted.map((size, i) => Math.max(0, size - (numbers[i] ?? 0)));
    const before = missing.map((count) => Math.floor(count / 2));
    const after = missing.map((count, i) => count - (before[i] ?? 0));
    const starts = wanted.map((size, i) => Math.max(0, Math.floor(((numbers[i] ?? 0) - size) / 2)));
    const ends = wanted.map((size, i) => (starts[i] ?? 0) + size);
    const padded = padZeros(b, x, b.ints([...before, ...after]), list);
    return b.op("Slice", [padded, b.ints(starts), b.ints(ends), list]);
  }
  const current = b.op("Gather", [b.shape(x), list], { axis: 0 });
  const missing = b.max(b.sub(shape, current), 0);
  const before = b.div(missing, 2);
  const padded = padZeros(b, x, b.concat([before, b.sub(missing, before)], 0), list);
  const starts = b.div(b.max(b.sub(current, shape), 0), 2);
  return b.op("Slice", [padded, starts, b.add(starts, shape), list]);
}

/** Axes that a Slice cuts; undefined where they are computed at run time. */
function slicedAxes(node: Node, rank: number): readonly number[] | undefined {
  const count = node.input(1)?.tensorType?.shape?.[0];
  const axes = node.input(3);
  const list = axes === undefined ? typeof count === "number" && countUp(count) : knownIntegers(axes);
  return list === false ? undefined : list?.map((axis) => axisOf(node, axis, rank));
}
