/** Shape and Size: what shape arithmetic starts from. */
import { countElements, sizeOf } from "../../ir/shape.ts";
import { defineOp, zero } from "../define.ts";
import { withContent } from "../kernels/content.ts";
import { fromNumbers } from "../ndarray.ts";
import { int, maybeInt } from "../params.ts";

const independent = "a shape does not depend on the elements";

export const Shape = defineOp({
  type: "Shape",
  versions: [1, 13, 15, 19, 21, 23, 24, 25],
  inputs: ["x"],
  outputs: ["y"],
  attributes: { start: int(0), end: maybeInt() },
  infer: ({ in: { x }, attrs: { start, end } }) => {
    const dims = x.tensorType?.shape;
    if (dims === undefined) return [{ kind: "tensor", dtype: "int64" }];
    const [from, to] = clampRange(start, end, dims.length);
    const taken = dims.slice(from, to);
    return [withContent("int64", [taken.length], taken)];
  },
  evaluate: ({ in: { x }, attrs: { start, end } }) => {
    const [from, to] = clampRange(start, end, x.rank);
    const taken = x.shape.slice(from, to);
    return [fromNumbers("int64", [taken.length], taken)];
  },
  precision: "exact",
  gradient: zero(independent),
});

export const Size = defineOp({
  type: "Size",
  versions: [1, 13, 19, 21, 23, 24, 25],
  inputs: ["x"],
  outputs: ["y"],
  attributes: {},
  infer: ({ in: { x } }) => {
    const dims = x.tensorType?.shape;
    return [withContent("int64", [], dims && [sizeOf(dims)])];
  },
  evaluate: ({ in: { x } }) => [fromNumbers("int64", [], [countElements(x.shape)])],
  precision: "exact",
  gradient: zero(independent),
});

/** Start and end as positions between 0 and the rank. */
function clampRange(start: number, end: number | undefined, rank: number): [number, number] {
  const clamp = (at: number): number => Math.min(rank, Math.max(0, at < 0 ? at + rank : at));
  const from = clamp(start);
  return [from, Math.max(from, clamp(end ?? rank))];
}
