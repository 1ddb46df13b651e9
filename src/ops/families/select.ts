/** Where: chooses between two operands by a third. */
import { type Dim, dimsEqual, unknownDim } from "../../ir/dim.ts";
import { broadcastShapes } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { defineOp } from "../define.ts";
import { broadcastTo, commonShape } from "../kernels/elementwise.ts";
import { partsOfElements } from "../kernels/parts.ts";
import { selectElements } from "../kernels/select-along.ts";
import { allocate, NDArray } from "../ndarray.ts";
import type { Inferred } from "../record.ts";

export const Where = defineOp({
  type: "Where",
  select: selectElements,
  parts: partsOfElements,
  versions: [9, 16],
  inputs: ["condition", "x", "y"],
  outputs: ["z"],
  attributes: {},
  infer: ({ in: { condition, x, y } }) => [inferWhere(condition, x, y)],
  evaluate: ({ in: { condition, x, y } }) => {
    const shape = commonShape(condition.shape, x.shape, y.shape);
    const chosen = broadcastTo(condition, shape).numbers;
    const [left, right] = [broadcastTo(x, shape).data, broadcastTo(y, shape).data];
    const data = allocate(x.dtype, chosen.length);
    chosen.forEach((flag, i) => {
      data[i] = (flag !== 0 ? left[i] : right[i]) ?? 0;
    });
    return [new NDArray(x.dtype, shape, data)];
  },
  precision: "follow",
  gradient: ({ in: { condition }, grad: { z: g }, b }) => ({
    x: () => b.where(condition, g, 0),
    y: () => b.where(condition, 0, g),
  }),
  rankFree: true,
});

function inferWhere(condition: Value, x: Value, y: Value): Inferred {
  const dtype = x.tensorType?.dtype ?? y.tensorType?.dtype;
  if (dtype === undefined) return undefined;
  const shapes = [condition, x, y].map((operand) => operand.tensorType?.shape);
  const known = shapes.filter((shape) => shape !== undefined);
  const type = tensorType(dtype, known.length === 3 ? broadcastShapes(...known) : undefined);
  const content = chooseContent(condition.content, x.content, y.content);
  return content === undefined ? type : { type, content };
}

/** Elements of the result, those under a condition that is not known only where both choices agree. */
function chooseContent(
  condition: readonly Dim[] | undefined,
  x: readonly Dim[] | undefined,
  y: readonly Dim[] | undefined,
): readonly Dim[] | undefined {
  if (condition === undefined || x === undefined || y === undefined) return undefined;
  const lists = [condition, x, y];
  const length = lists.find((list) => list.length !== 1)?.length ?? 1;
  if (lists.some((list) => list.length !== 1 && list.length !== length)) return undefined;
  return Array.from({ length }, (_, i) => {
    const [flag, left, right] = lists.map((list) => list[list.length === 1 ? 0 : i]);
    if (left === undefined || right === undefined) return unknownDim();
    if (dimsEqual(left, right)) return left;
    return typeof flag === "number" ? (flag !== 0 ? left : right) : unknownDim();
  });
}
