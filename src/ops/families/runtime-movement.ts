/** Operators of com.microsoft that older exporters wrote for those that ai.onnx has under the same or another name. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import { addDims, type Dim, subDims, unknownDim } from "../../ir/dim.ts";
import { normalizeAxis, unknownShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dimOf } from "../facts.ts";
import { contentOf } from "../kernels/content.ts";
import { byExpansion } from "../kernels/expanded.ts";
import { knownIntegers } from "../kernels/reduction-axes.ts";
import { float, int, text } from "../params.ts";

const domain = "com.microsoft";
const versions = [1];

export const RuntimeTrilu = defineOp({
  type: "Trilu",
  domain,
  versions,
  inputs: ["x", "k?"],
  ranks: { x: [2], k: [0, 1] },
  outputs: ["y"],
  attributes: { upper: int(1) },
  infer: ({ in: { x } }) => [x.type],
  evaluate: byExpansion,
  precision: "follow",
  cost: { overwrites: "x" },
  gradient: {
    kind: "expand",
    rule: ({ in: { x, k }, attrs: { upper }, b }) => [b.op("Trilu", [x, k ?? null], { upper })],
  },
  hostInputs: ["k"],
});

/** Unsqueeze at one axis, counted from the end of the result where it is negative. */
export const ExpandDims = defineOp({
  type: "ExpandDims",
  domain,
  versions,
  inputs: ["x", "axis"],
  ranks: { axis: [0, 1] },
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x, axis } }) => {
    const [type, shape] = [x.tensorType, x.tensorType?.shape];
    if (type === undefined || shape === undefined) return [type && tensorType(type.dtype)];
    const [given] = knownIntegers(axis) ?? [];
    const at = given === undefined ? undefined : normalizeAxis(given, shape.length + 1);
    return [
      tensorType(type.dtype, at === undefined ? unknownShape(shape.length + 1) : shape.toSpliced(at, 0, 1)),
    ];
  },
  evaluate: byExpansion,
  precision: "exact",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, axis }, b }) => {
      const [known] = knownIntegers(axis) ?? [];
      const axes = known === undefined ? b.reshape(b.cast(axis, "int64"), [1]) : b.ints([known]);
      return [b.op("Unsqueeze", [x, axes])];
    },
  },
  hostInputs: ["axis"],
});

export const RuntimePad = defineOp({
  type: "Pad",
  domain,
  versions,
  inputs: ["x", "pads", "value?"],
  outputs: ["y"],
  attributes: { mode: text("constant") },
  infer: ({ in: { x, pads } }) => {
    const [type, shape, amounts] = [x.tensorType, x.tensorType?.shape, contentOf(pads)];
    const sizes = shape?.map((dim, axis): Dim => {
      const [before, after] = [amounts?.[axis], amounts?.[axis + shape.length]];
      return before === undefined || after === undefined
        ? unknownDim()
        : addDims(dim, addDims(before, after));
    });
    return [type && tensorType(type.dtype, sizes)];
  },
  evaluate: byExpansion,
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, pads, value }, attrs: { mode }, b }) => {
      // Either may have one axis more than in ai.onnx.
      const flat = pads.tensorType?.shape?.length === 1 ? pads : b.reshape(pads, [-1]);
      const filler = value === undefined ? null : b.reshape(value, []);
      return [b.op("Pad", [x, flat, mode === "constant" ? filler : null], { mode })];
    },
  },
  hostInputs: ["pads"],
});

export const RuntimeUnique = defineOp({
  type: "Unique",
  domain,
  versions,
  inputs: ["x"],
  outputs: ["y", "inverse", "counts"],
  attributes: {},
  infer: ({ in: { x } }) => {
    const [type, count] = [x.tensorType, unknownDim()];
    const inverse = tensorType("int64", [x.tensorType?.shape?.[0] ?? unknownDim()]);
    return [type && tensorType(type.dtype, [count]), inverse, tensorType("int64", [count])];
  },
  evaluate: byExpansion,
  precision: "exact",
  gradient: {
    kind: "expand",
    rule: ({ in: { x }, b }) => {
      const [y = null, , inverse = null, counts = null] = b.ops("Unique", [x], { sorted: 0 }, 4);
      return [y, inverse, counts];
    },
  },
});

/** Range with a step of 1 unless another is given. */
export const RuntimeRange = defineOp({
  type: "Range",
  domain,
  versions,
  inputs: ["start", "limit", "step?"],
  ranks: { start: [0, 1], limit: [0, 1], step: [0, 1] },
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { start, limit, step } }) => {
    const [from, to] = [contentOf(start)?.[0], contentOf(limit)?.[0]];
    const known = step === undefined && from !== undefined && to !== undefined;
    const type = start.tensorType;
    return [type && tensorType(type.dtype, [known ? subDims(to, from) : unknownDim()])];
  },
  evaluate: byExpansion,
  precision: "exact",
  gradient: {
    kind: "expand",
    rule: ({ in: { start, limit, step }, b }) => {
      const scalar = (x: Value): Value => b.reshape(x, []);
      const one = b.castLike(b.int(1), start);
      return [b.op("Range", [scalar(start), scalar(limit), step === undefined ? one : scalar(step)])];
    },
  },
});

/** Parts of images resized to one size, by boxes `[y1, x1, y2, x2]` in units of the distance between opposite corners. */
export const CropAndResize = defineOp({
  type: "CropAndResize",
  domain,
  versions,
  inputs: ["x", "boxes", "images", "size"],
  ranks: { x: 4, boxes: 2, images: 1, size: 1 },
  outputs: ["y"],
  attributes: { extrapolation_value: float(0), mode: text("bilinear") },
  infer: ({ in: { x, boxes, size } }) => {
    const type = x.tensorType;
    const [height = unknownDim(), width = unknownDim()] = contentOf(size) ?? [];
    const count = boxes.tensorType?.shape?.[0] ?? unknownDim();
    return [type && tensorType(type.dtype, [count, type.shape?.[1] ?? unknownDim(), height, width])];
  },
  evaluate: byExpansion,
  precision: "full",
  gradient: {
    kind: "expand",
    rule: ({ node, in: { x, boxes, images, size }, attrs, b }) => {
      if (attrs.mode !== "bilinear" && attrs.mode !== "nearest")
        throw operatorErrors.E_BAD_ATTRIBUTE(node, "mode", "bilinear or nearest", `"${attrs.mode}"`);
      const nearest = attrs.mode === "nearest";
      const along = (axis: 0 | 1): Line => lineOf(b, x, boxes, size, axis, nearest);
      const [rows, columns] = [along(0), along(1)];
      const inside = b.and(b.unsqueeze(rows.inside, [1, 3]), b.unsqueeze(columns.inside, [1, 2]));
      // [boxes, height, width, 2] with the coordinate of the last axis first.
      const plane = b.concat(
        [b.shape(rows.places), b.op("Shape", [columns.places], { start: 1, end: 2 })],
        0,
      );
      const grid = b.concat(
        [
          b.unsqueeze(b.expand(b.unsqueeze(columns.places, [1]), plane), [3]),
          b.unsqueeze(b.expand(b.unsqueeze(rows.places, [2]), plane), [3]),
        ],
        3,
      );
      const sampled = b.op("GridSample", [b.gather(x, images), grid], {
        align_corners: 0,
        mode: nearest ? "nearest" : "linear",
        padding_mode: "border",
      });
      return [b.where(inside, sampled, attrs.extrapolation_value)];
    },
  },
  hostInputs: ["size"],
});

interface Line {
  /** Coordinates as GridSample counts them without aligned corners, `[boxes, size]`. */
  readonly places: Value;
  readonly inside: Value;
}

/** Where the rows (axis 0) or columns (axis 1) of the crops lie: from corner to corner, or in the middle if there is one only. */
function lineOf(b: OpBuilder, x: Value, boxes: Value, size: Value, axis: 0 | 1, nearest: boolean): Line {
  const corner = (at: number): Value => b.slice(boxes, { starts: [at], ends: [at + 1], axes: [1] });
  const length = dimOf(x, 2 + axis);
  const extent =
    typeof length === "number" ? b.scalar(length, "float32") : b.cast(b.dim(x, 2 + axis), "float32");
  const last = b.castLike(b.sub(extent, 1), boxes);
  const count = b.cast(b.gather(size, b.int(axis)), "int64");
  const [first, other] = [b.mul(corner(axis), last), b.mul(corner(axis + 2), last)];
  const steps = b.castLike(b.op("Range", [b.int(0), count, b.int(1)]), boxes);
  const gaps = b.castLike(b.max(b.sub(count, 1), 1), boxes);
  const spread = b.add(first, b.div(b.mul(b.sub(other, first), b.unsqueeze(steps, [0])), gaps));
  const exact = b.where(b.equal(count, 1), b.mul(b.add(first, other), 0.5), spread);
  const inside = b.and(b.greaterOrEqual(exact, 0), b.lessOrEqual(exact, last));
  const at = nearest ? b.op("Floor", [b.add(exact, 0.5)]) : exact;
  return { places: b.sub(b.div(b.add(b.mul(at, 2), 1), b.castLike(extent, boxes)), 1), inside };
}
