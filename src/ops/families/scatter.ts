/** ScatterElements, ScatterND and the old Scatter: elements and rows put where indices point. */
import { isLow } from "../../ir/dtype.ts";
import type { Node } from "../../ir/node.ts";
import { countElements } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { dtypeOf } from "../facts.ts";
import { boxesAt, elementOffsets, rowOffsets } from "../kernels/index-offsets.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { replaceNode } from "../kernels/replace-node.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import { requireElements, requireRows } from "../kernels/require-places.ts";
import { asRows, rowIndices, viewRows } from "../kernels/row-scatter.ts";
import { scatterArray } from "../kernels/scatter.ts";
import { type Places, scatterGradients } from "../kernels/scatter-gradient.ts";
import { reshapeLike } from "../kernels/shape-vector.ts";
import { int, text } from "../params.ts";

const reductions = ["none", "add", "mul", "max", "min"];

export const ScatterElements = defineOp({
  type: "ScatterElements",
  versions: [11, 13, 16, 18],
  inputs: ["x", "indices", "updates"],
  ranks: { x: [1], indices: [1], updates: [1] },
  outputs: ["y"],
  attributes: { axis: int(0), reduction: text("none") },
  infer: ({ node, in: { x, indices, updates }, attrs: { axis, reduction } }) => {
    requireOneOf(node, "reduction", reduction, reductions);
    requireElements(node, x, indices, axis, updates);
    return [x.type];
  },
  evaluate: ({ node, in: { x, indices, updates }, attrs: { axis, reduction }, exact }) => {
    const offsets = elementOffsets(x, indices, axisOf(node, axis, x.rank));
    return [scatterArray(x, offsets, updates, reduction, exact)];
  },
  precision: "follow",
  cost: { overwrites: "x" },
  gradient: ({ in: { x, indices, updates }, out: { y }, attrs: { axis, reduction }, grad, b }) => {
    const places: Places = {
      gather: (values) => b.op("GatherElements", [values, indices], { axis }),
      scatter: (base, values, how) =>
        inFull(b, base, values, how, (wide, parts) =>
          b.op("ScatterElements", [wide, indices, parts], {
            axis,
            reduction: how === "none" ? undefined : how,
          }),
        ),
    };
    return scatterGradients(b, { x, updates, y, g: () => grad.y, reduction, places });
  },
});

export const ScatterND = defineOp({
  type: "ScatterND",
  versions: [11, 13, 16, 18],
  inputs: ["x", "indices", "updates"],
  ranks: { x: [1], indices: [1] },
  outputs: ["y"],
  attributes: { reduction: text("none") },
  infer: ({ node, in: { x, indices, updates }, attrs: { reduction } }) => {
    requireOneOf(node, "reduction", reduction, reductions);
    requireRows(node, x, indices, 0, updates);
    return [x.type];
  },
  evaluate: ({ in: { x, indices, updates }, attrs: { reduction }, exact }) => {
    const size = countElements(x.shape.slice(indices.shape.at(-1) ?? 0));
    return [scatterArray(x, boxesAt(rowOffsets(x, indices, 0), size), updates, reduction, exact)];
  },
  precision: "follow",
  gradient: ({ node, in: { x, indices, updates }, out: { y }, attrs: { reduction }, grad, b }) => {
    const places: Places = {
      gather: (values) => b.op("GatherND", [values, indices]),
      scatter: (base, values, how) => {
        if (how === "none") return b.op("ScatterND", [base, indices, values]);
        return inFull(b, base, values, how, (wide, parts) => scatterRows(b, node, wide, indices, parts, how));
      },
    };
    return scatterGradients(b, { x, updates, y, g: () => grad.y, reduction, places });
  },
});

/** ONNX deprecates it from opset 11 on for ScatterElements, which means the same. */
export const Scatter = defineOp({
  type: "Scatter",
  versions: [9, 11],
  inputs: ["x", "indices", "updates"],
  ranks: { x: [1], indices: [1], updates: [1] },
  outputs: ["y"],
  attributes: { axis: int(0) },
  infer: ({ node, in: { x, indices, updates }, attrs: { axis } }) => {
    requireElements(node, x, indices, axis, updates);
    return [x.type];
  },
  evaluate: ({ node, in: { x, indices, updates }, attrs: { axis }, exact }) => {
    const offsets = elementOffsets(x, indices, axisOf(node, axis, x.rank));
    return [scatterArray(x, offsets, updates, "none", exact)];
  },
  precision: "follow",
  gradient: {
    kind: "expand",
    rule: ({ in: { x, indices, updates }, attrs: { axis }, b }) => [
      b.op("ScatterElements", [x, indices, updates], { axis }),
    ],
  },
  upgrades: { 11: renameScatter },
});

function renameScatter(node: Node, b: OpBuilder): void {
  const attributes = { axis: node.int("axis", 0) };
  replaceNode(node, [b.op("ScatterElements", node.inputs, attributes)]);
}

/** Runs a reduction in float32 where the type is shorter, which the CPU kernel refuses. */
function inFull(
  b: OpBuilder,
  base: Value,
  updates: Value,
  reduction: string,
  run: (base: Value, updates: Value) => Value,
): Value {
  const dtype = dtypeOf(base);
  if (reduction === "none" || !isLow(dtype)) return run(base, updates);
  return b.cast(run(b.cast(base, "float32"), b.cast(updates, "float32")), dtype);
}

function scatterRows(
  b: OpBuilder,
  node: Node,
  base: Value,
  indices: Value,
  updates: Value,
  reduction: string,
): Value {
  const { rows, row, count } = viewRows(b, node, base, indices, 0);
  const parts = asRows(b, updates, -1, row);
  const inputs = [asRows(b, base, count, row), rowIndices(b, rows, parts), parts];
  return reshapeLike(b, b.op("ScatterElements", inputs, { axis: 0, reduction }), base);
}
