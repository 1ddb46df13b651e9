/** ArgMax and ArgMin: positions of the extremum along one axis. */
import { normalizeAxis, type Shape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import { defineOp, zero } from "../define.ts";
import { planReduction } from "../kernels/reduce.ts";
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
    infer: ({ in: { x }, attrs }) => [tensorType("int64", reducedShape(x.tensorType?.shape, attrs))],
    evaluate: ({ in: { x }, attrs }) => {
      const axis = normalizeAxis(attrs.axis, x.rank) ?? 0;
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
  shape: Shape | undefined,
  { axis, keepdims }: { readonly axis: number; readonly keepdims: number },
): Shape | undefined {
  if (shape === undefined) return undefined;
  const position = normalizeAxis(axis, shape.length) ?? 0;
  return shape.flatMap((dim, at) => (at !== position ? [dim] : keepdims !== 0 ? [1] : []));
}
