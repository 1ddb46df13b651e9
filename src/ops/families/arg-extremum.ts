/** ArgMax and ArgMin: positions of the extremum along one axis. */
import type { Node } from "../../ir/node.ts";
import type { Shape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp, zero } from "../define.ts";
import { planReduction } from "../kernels/reduce.ts";
import { axisOf } from "../kernels/reduction-axes.ts";
import { NDArray, stridesOf } from "../ndarray.ts";
import { int } from "../params.ts";
import type { Op } from "../record.ts";

export const ArgMax = defineArgExtremum("ArgMax", (candidate, best) => candidate > best);
export const ArgMin = defineArgExtremum("ArgMin", (candidate, best) => candidate < best);

function defineArgExtremum(
  type: string,
  beats: (candidate: number | bigint, best: number | bigint) => boolean,
): Op {
  return defineOp({
    type,
    versions: [1, 11, 12, 13],
    inputs: ["x"],
    outputs: ["y"],
    attributes: { axis: int(0), keepdims: int(1), select_last_index: int(0) },
    infer: ({ node, in: { x }, attrs }) => [
      tensorType("int64", reducedShape(node, x.tensorType?.shape, attrs)),
    ],
    evaluate: ({ node, in: { x }, attrs }) => {
      const axis = axisOf(node, attrs.axis, x.rank);
      const { kept, dropped, cells, size } = planReduction(x.shape, [axis]);
      const stride = stridesOf(x.shape)[axis] ?? 1;
      const best = new Array<number | bigint | undefined>(size);
      const at = new BigInt64Array(size);
      for (let i = 0; i < x.size; i++) {
        const cell = cells[i] ?? 0;
        const [candidate, record] = [x.data[i], best[cell]];
        if (candidate === undefined || typeof candidate === "string") continue;
        const ties = attrs.select_last_index !== 0 && candidate === record;
        if (record !== undefined && !ties && !beats(candidate, record)) continue;
        best[cell] = candidate;
        at[cell] = BigInt(Math.floor(i / stride) % (x.shape[axis] ?? 1));
      }
      return [new NDArray("int64", attrs.keepdims !== 0 ? kept : dropped, at)];
    },
    precision: "exact",
    gradient: zero("the result is a position, constant between changes of the winner"),
  });
}

function reducedShape(
  node: Node,
  shape: Shape | undefined,
  { axis, keepdims }: { readonly axis: number; readonly keepdims: number },
): Shape | undefined {
  if (shape === undefined) return undefined;
  const position = axisOf(node, axis, shape.length);
  return shape.flatMap((dim, at) => (at !== position ? [dim] : keepdims !== 0 ? [1] : []));
}
