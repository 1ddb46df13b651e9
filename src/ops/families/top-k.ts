/** TopK: the largest or smallest elements along an axis. */
import { type Dim, unknownDim } from "../../ir/dim.ts";
import type { Node } from "../../ir/node.ts";
import { countElements } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { OpBuilder } from "../builder.ts";
import { defineOp } from "../define.ts";
import { contentOf } from "../kernels/content.ts";
import { scatterAlong, zerosShapedAs } from "../kernels/positions.ts";
import { takeAt } from "../kernels/rearrange.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { fromNumbers, type NDArray } from "../ndarray.ts";
import { int } from "../params.ts";

export const TopK = defineOp({
  type: "TopK",
  versions: [1, 10, 11, 24],
  inputs: ["x", "k"],
  ranks: { x: [1], k: [0, 1] },
  outputs: ["values", "indices?"],
  attributes: { axis: int(-1), largest: int(1), sorted: int(1) },
  infer: ({ node, in: { x, k }, attrs: { axis } }) => {
    const type = x.tensorType;
    const at = type?.shape && axisOf(node, axis, type.shape.length);
    const count: Dim = contentOf(k)?.[0] ?? unknownDim();
    const shape = at === undefined ? undefined : type?.shape?.with(at, count);
    return [type && tensorType(type.dtype, shape), tensorType("int64", shape)];
  },
  evaluate: ({ node, in: { x, k }, attrs: { axis, largest } }) =>
    topElements(x, axisOf(node, axis, x.rank), k.toNumbers()[0] ?? 0, largest !== 0),
  precision: "exact",
  // No index stands twice along the axis, so that nothing is summed.
  gradient: ({ in: { x, k }, out, attrs, grad, b }) => ({
    x: () => {
      const indices = out.indices ?? b.ops("TopK", [x, k], attrs, 2)[1];
      const options = {
        updates: grad.values,
        indices: indices ?? grad.values,
        axis: attrs.axis,
        repeated: false,
      };
      return scatterAlong(b, options, (dtype) => zerosShapedAs(b, x, dtype));
    },
  }),
  upgrades: { 10: countToInput },
  hostInputs: ["k"],
});

/** Makes an operand of the attribute `k`. */
function countToInput(node: Node, b: OpBuilder): void {
  const k = node.int("k", undefined);
  if (k === undefined) return;
  node.attributes.delete("k");
  node.setInput(1, b.ints([k]));
}

/** Values and indices; of equal elements the first come first. */
function topElements(x: NDArray, axis: number, k: number, largest: boolean): [NDArray, NDArray] {
  const size = x.shape[axis] ?? 1;
  const inner = countElements(x.shape.slice(axis + 1));
  const outer = countElements(x.shape.slice(0, axis));
  const shape = x.shape.with(axis, k);
  const chosen = new Float64Array(countElements(shape));
  const offsets = new Int32Array(chosen.length);
  const sign = largest ? -1 : 1;
  for (let row = 0; row < outer * inner; row++) {
    const base = Math.floor(row / inner) * size * inner + (row % inner);
    const order = Array.from({ length: size }, (_, i) => ({ i, value: x.data[base + i * inner] ?? 0 }));
    order.sort((a, b) => (a.value < b.value ? -sign : a.value > b.value ? sign : a.i - b.i));
    for (let j = 0; j < k; j++) {
      const at = (Math.floor(row / inner) * k + j) * inner + (row % inner);
      chosen[at] = order[j]?.i ?? 0;
      offsets[at] = base + (order[j]?.i ?? 0) * inner;
    }
  }
  return [takeAt(x, shape, offsets), fromNumbers("int64", shape, chosen)];
}
