/** Pad: elements added around a tensor, or cut off where sizes are negative. */
import { addDims, type Dim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { unknownShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf, rankOf } from "../facts.ts";
import { attributeToInput } from "../kernels/attribute-to-input.ts";
import { dimsIn } from "../kernels/content.ts";
import { positionsOf, putBack, zerosShapedAs } from "../kernels/positions.ts";
import { countUp, nowhere, pickAlongAxes } from "../kernels/rearrange.ts";
import { axisOf, knownIntegers } from "../kernels/reduction-axes.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import { stateShape } from "../kernels/shape-vector.ts";
import { padZeros } from "../kernels/zero-pad.ts";
import type { NDArray } from "../ndarray.ts";
import { text } from "../params.ts";
import type { Inferred } from "../record.ts";

export const Pad = defineOp({
  type: "Pad",
  versions: [1, 2, 11, 13, 18, 19, 21, 23, 24, 25],
  inputs: ["x", "pads", "value?", "axes?"],
  ranks: { pads: 1, value: [0, 1], axes: 1 },
  outputs: ["y"],
  attributes: { mode: text("constant") },
  infer: ({ node, in: { x, pads, axes }, attrs: { mode } }) => {
    requireOneOf(node, "mode", mode, ["constant", "reflect", "edge", "wrap"]);
    return [inferPad(node, x, pads, axes)];
  },
  evaluate: ({ node, in: { x, pads, value, axes }, attrs: { mode } }) => [
    padArray(x, pads.toNumbers(), positionsIn(node, axes?.toNumbers(), x.rank), mode, value),
  ],
  precision: "follow",
  gradient: ({ in: { x, pads, value, axes }, attrs: { mode }, grad, b }) => ({
    x: () => {
      if (mode === "constant") return stateShape(cutOff(b, grad.y, x, pads, axes), x);
      const again = b.op("Pad", [positionsOf(b, x), pads, null, axes ?? null], { mode });
      return putBack(b, x, grad.y, again, true);
    },
    // Where the operand's elements are 0 and the added ones 1, the sum is over those added.
    value: () => {
      const inside = zerosShapedAs(b, x, "float32");
      const outside = b.op("Pad", [inside, pads, b.scalar(1, "float32"), axes ?? null]);
      const added = b.castLike(outside, x);
      const sum = b.reduceSum(b.mul(grad.y, added), undefined, false);
      return value?.tensorType?.shape?.length === 1 ? b.unsqueeze(sum, [0]) : sum;
    },
  }),
  upgrades: {
    11: (node, b) => {
      attributeToInput(node, b, "pads", 1);
      valueToInput(node, b);
    },
  },
  hostInputs: ["pads", "axes"],
  quantized: { reads: ["x"], makes: ["y"] },
});

/** Makes an operand of the attribute `value`, which is 0 where it is absent. */
function valueToInput(node: Node, b: OpBuilder): void {
  const value = node.float("value", 0);
  node.attributes.delete("value");
  const x = node.input(0);
  if (value !== 0 && x !== undefined) node.setInput(2, b.scalar(value, dtypeOf(x)));
}

function inferPad(node: Node, x: Value, pads: Value, axes: Value | undefined): Inferred {
  const type = x.tensorType;
  if (type?.shape === undefined) return type;
  const rank = type.shape.length;
  const sizes = dimsIn(pads);
  const list = axes === undefined ? countUp(rank) : knownIntegers(axes);
  if (sizes === undefined || list === undefined) return tensorType(type.dtype, unknownShape(rank));
  const dims: Dim[] = [...type.shape];
  list.forEach((axis, index) => {
    const at = axisOf(node, axis, rank);
    const size = at === undefined ? undefined : dims[at];
    if (at === undefined || size === undefined) return;
    dims[at] = addDims(size, addDims(sizes[index] ?? 0, sizes[index + list.length] ?? 0));
  });
  return tensorType(type.dtype, dims);
}

/** The axes that an operand names, or all. */
function positionsIn(node: Node, axes: readonly number[] | undefined, rank: number): readonly number[] {
  return axes?.map((axis) => axisOf(node, axis, rank)) ?? countUp(rank);
}

/** Pads an array as ONNX says (Pad, opset 19). */
function padArray(
  x: NDArray,
  pads: readonly number[],
  axes: readonly number[],
  mode: string,
  value: NDArray | undefined,
): NDArray {
  const picks = x.shape.map(countUp);
  axes.forEach((at, index) => {
    const size = x.shape[at] ?? 0;
    const [before, after] = [pads[index] ?? 0, pads[index + axes.length] ?? 0];
    picks[at] = countUp(Math.max(0, before + size + after)).map((i) => sourceOf(i - before, size, mode));
  });
  return pickAlongAxes(x, picks, value);
}

/** The element that an index, maybe outside, stands for. */
function sourceOf(index: number, size: number, mode: string): number {
  switch (mode) {
    case "edge":
      return Math.min(size - 1, Math.max(0, index));
    case "wrap":
      return ((index % size) + size) % size;
    case "reflect": {
      const period = Math.max(1, 2 * (size - 1));
      const place = ((index % period) + period) % period;
      return place < size ? place : period - place;
    }
    default:
      return index < size ? Math.max(nowhere, index) : nowhere;
  }
}

/** Takes the added elements away, and gives zeros back for those that negative sizes took. */
function cutOff(b: OpBuilder, g: Value, x: Value, pads: Value, axes: Value | undefined): Value {
  const sizes = knownIntegers(pads);
  const list = axes === undefined ? countUp(rankOf(x)) : knownIntegers(axes);
  if (sizes === undefined || list === undefined) return padZeros(b, g, b.neg(pads), axes ?? null);
  const touched = list
    .map((_, index) => index)
    .filter((index) => sizes[index] !== 0 || sizes[index + list.length] !== 0);
  const margins = touched.map((index) => ({
    axis: list[index] ?? 0,
    before: sizes[index] ?? 0,
    after: sizes[index + list.length] ?? 0,
  }));
  const cut = margins.filter(({ before, after }) => before > 0 || after > 0);
  const inner =
    cut.length === 0
      ? g
      : b.slice(g, {
          starts: cut.map(({ before }) => Math.max(0, before)),
          ends: cut.map(({ after }) => (after > 0 ? -after : Number.MAX_SAFE_INTEGER)),
          axes: cut.map(({ axis }) => axis),
        });
  const given = margins.filter(({ before, after }) => before < 0 || after < 0);
  if (given.length === 0) return inner;
  const amounts = [...given.map(({ before }) => before), ...given.map(({ after }) => after)];
  const back = b.ints(amounts.map((amount) => Math.max(0, -amount)));
  return padZeros(b, inner, back, b.ints(given.map(({ axis }) => axis)));
}
