/** Trilu and ReverseSequence: elements kept or turned around by their place. */
import { countElements } from "../../ir/shape.ts";
import { defineOp } from "../define.ts";
import { throughFloat32 } from "../kernels/downgrade.ts";
import { partsBeside } from "../kernels/parts.ts";
import { countUp, nowhere, takeAt } from "../kernels/rearrange.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { int } from "../params.ts";

export const Trilu = defineOp({
  type: "Trilu",
  versions: [14],
  inputs: ["x", "k?"],
  ranks: { x: [2], k: [0, 1] },
  outputs: ["y"],
  attributes: { upper: int(1) },
  infer: ({ in: { x } }) => [x.type],
  evaluate: ({ in: { x, k }, attrs: { upper } }) => {
    const [rows = 1, columns = 1] = x.shape.slice(-2);
    const shift = k?.toNumbers()[0] ?? 0;
    const offsets = countUp(x.size).map((at) => {
      const diagonal = (at % columns) - (Math.floor(at / columns) % rows) - shift;
      return (upper !== 0 ? diagonal >= 0 : diagonal <= 0) ? at : nowhere;
    });
    return [takeAt(x, x.shape, offsets)];
  },
  parts: partsBeside((_, rank) => [rank - 2, rank - 1]),
  precision: "follow",
  cost: { overwrites: "x" },
  gradient: ({ in: { k }, attrs: { upper }, grad, b }) => ({
    x: () => b.op("Trilu", [grad.y, k ?? null], { upper }),
  }),
  hostInputs: ["k"],
});

export const ReverseSequence = defineOp({
  type: "ReverseSequence",
  versions: [10, 28],
  downgrades: { 28: throughFloat32(["bfloat16"]) },
  inputs: ["x", "lengths"],
  ranks: { x: [2], lengths: 1 },
  outputs: ["y"],
  attributes: { batch_axis: int(1), time_axis: int(0) },
  infer: ({ in: { x } }) => [x.type],
  evaluate: ({ node, in: { x, lengths }, attrs }) => {
    const [batch = 1, time = 0] = [attrs.batch_axis, attrs.time_axis].map((axis) =>
      axisOf(node, axis, x.rank),
    );
    const ends = lengths.toNumbers();
    const strides = x.shape.map((_, axis) => countElements(x.shape.slice(axis + 1)));
    const indexOf = (at: number, axis: number): number =>
      Math.floor(at / (strides[axis] ?? 1)) % (x.shape[axis] ?? 1);
    const offsets = countUp(x.size).map((at) => {
      const [step, end] = [indexOf(at, time), ends[indexOf(at, batch)] ?? 0];
      return step < end ? at + (end - 1 - 2 * step) * (strides[time] ?? 1) : at;
    });
    return [takeAt(x, x.shape, offsets)];
  },
  precision: "follow",
  // Turning around twice changes nothing.
  gradient: ({ in: { lengths }, attrs, grad, b }) => ({
    x: () => b.op("ReverseSequence", [grad.y, lengths], attrs),
  }),
});
