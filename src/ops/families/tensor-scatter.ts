/** TensorScatter: rows written into a cache, each batch from an index of its own. */
import { operatorErrors } from "../../diagnostics/operator.ts";
import type { Node } from "../../ir/node.ts";
import type { Value } from "../../ir/value.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { rankOf } from "../facts.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { requireOneOf } from "../kernels/require-attribute.ts";
import { shapeVector, sizesOf } from "../kernels/shape-vector.ts";
import { allocate, NDArray, stridesOf } from "../ndarray.ts";
import { int, text } from "../params.ts";

export const TensorScatter = defineOp({
  type: "TensorScatter",
  versions: [24],
  inputs: ["cache", "update", "starts?"],
  outputs: ["y"],
  attributes: { axis: int(-2), mode: text("linear") },
  infer: ({ node, in: { cache }, attrs: { axis, mode } }) => {
    requireOneOf(node, "mode", mode, ["linear", "circular"]);
    const rank = cache.tensorType?.shape?.length;
    if (rank !== undefined) sequenceAxis(node, axis, rank);
    return [cache.type];
  },
  evaluate: ({ node, in: { cache, update, starts }, attrs: { axis, mode } }) => {
    const at = sequenceAxis(node, axis, cache.rank);
    const [from, to] = [stridesOf(update.shape), stridesOf(cache.shape)];
    const [length, first] = [cache.shape[at] ?? 1, starts?.toNumbers()];
    const data = allocate(cache.dtype, cache.size);
    cache.data.forEach((element, i) => {
      data[i] = element;
    });
    const last = length - (update.shape[at] ?? 0);
    update.data.forEach((element, i) => {
      const indices = from.map((stride, dim) => Math.floor(i / stride) % (update.shape[dim] ?? 1));
      const start = first?.[indices[0] ?? 0] ?? 0;
      if (start < 0 || (mode === "linear" && start > last))
        throw operatorErrors.E_BAD_OPERAND(node, "starts", `indices from 0 to ${last}`, `${start}`);
      const written = (start + (indices[at] ?? 0)) % length;
      const place = indices.reduce(
        (sum, index, dim) => sum + (dim === at ? written : index) * (to[dim] ?? 1),
        0,
      );
      data[place] = element;
    });
    return [new NDArray(cache.dtype, cache.shape, data)];
  },
  precision: "exact",
  // The cache gets what was not written over, the update what stands where it was written.
  gradient: ({ node, in: { cache, update, starts }, attrs, grad: { y: g }, b }) => {
    const axis = sequenceAxis(node, attrs.axis, rankOf(cache));
    return {
      cache: () =>
        b.op("TensorScatter", [g, b.zerosLike(update), starts ?? null], { axis, mode: attrs.mode }),
      update: () =>
        b.op("GatherElements", [g, writtenPlaces(b, cache, update, starts, axis, attrs.mode)], { axis }),
    };
  },
});

/** For each element of the update, its index in the cache along the axis. */
function writtenPlaces(
  b: OpBuilder,
  cache: Value,
  update: Value,
  starts: Value | undefined,
  axis: number,
  mode: string,
): Value {
  const rank = rankOf(update);
  const steps = b.op("Range", [b.int(0), b.dim(update, axis), b.int(1)]);
  const along = b.unsqueeze(steps, axesButOne(rank, axis));
  const moved = starts === undefined ? along : b.add(along, b.unsqueeze(starts, axesButOne(rank, 0)));
  const places = mode === "circular" ? b.mod(moved, b.dim(cache, axis)) : moved;
  return b.expand(places, shapeVector(b, sizesOf(update)));
}

function axesButOne(rank: number, kept: number): number[] {
  return Array.from({ length: rank }, (_, axis) => axis).filter((axis) => axis !== kept);
}

/** @throws DiagnosticError E_BAD_AXIS where there is no such axis, E_BAD_ATTRIBUTE for that of the batch. */
function sequenceAxis(node: Node, axis: number, rank: number): number {
  const at = axisOf(node, axis, rank);
  if (at === 0)
    throw operatorErrors.E_BAD_ATTRIBUTE(node, "axis", "an axis after that of the batch", `${axis}`);
  return at;
}
