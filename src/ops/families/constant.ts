/**
 * Operators that make tensors from attributes, sizes and bounds: Constant, ConstantOfShape, Range, EyeLike.
 */
import { InternalError } from "../../diagnostics/define.ts";
import { constantOf, smallIntegers } from "../../ir/constant.ts";
import { addDims, ceilDivDims, type Dim, maxDims, mulDims, subDims } from "../../ir/dim.ts";
import { dtypeFromCode, isFloat } from "../../ir/dtype.ts";
import type { Node } from "../../ir/node.ts";
import { countElements, unknownShape } from "../../ir/shape.ts";
import { tensorType } from "../../ir/type.ts";
import type { Value } from "../../ir/value.ts";
import { defineOp, zero } from "../define.ts";
import { contentLimit, contentOf, dimsIn, withContent } from "../kernels/content.ts";
import { throughFloat32 } from "../kernels/downgrade.ts";
import { partsOfSpread } from "../kernels/parts.ts";
import { countUp, nowhere, takeAt } from "../kernels/rearrange.ts";
import { isAtLeastZero } from "../kernels/slice-bounds.ts";
import { fromNumbers, fromTensor, NDArray } from "../ndarray.ts";
import { int, maybeInt, tensor } from "../params.ts";
import type { Inferred } from "../record.ts";

export const Constant = defineOp({
  type: "Constant",
  versions: [1, 9, 11, 12, 13, 19, 21, 23, 24, 25],
  inputs: [],
  outputs: ["y"],
  attributes: {},
  infer: ({ node }) => {
    const value = constantOf(node.output(0));
    if (value !== undefined)
      return [withContent(value.dtype, value.dims, smallIntegers(value, contentLimit))];
    const attribute = [...node.attributes.values()][0];
    if (attribute?.kind === "sparse") return [tensorType(attribute.value.values.dtype, attribute.value.dims)];
    if (attribute?.kind === "string") return [tensorType("string", [])];
    return attribute?.kind === "strings" ? [tensorType("string", [attribute.value.length])] : [];
  },
  evaluate: ({ node }) => [constantArray(node)],
  precision: "exact",
  gradient: zero("a constant has no operands"),
});

export const ConstantOfShape = defineOp({
  type: "ConstantOfShape",
  versions: [9, 20, 21, 23, 24, 25],
  inputs: ["shape"],
  ranks: { shape: 1 },
  outputs: ["y"],
  attributes: { value: tensor() },
  infer: ({ in: { shape: operand }, attrs: { value } }) => {
    const shape = dimsIn(operand);
    const [length] = shape ?? [];
    const element = value === undefined ? undefined : smallIntegers(value)?.[0];
    const count = shape?.length === 0 ? 1 : length;
    const repeated =
      typeof count === "number" && count >= 0 && count <= contentLimit && element !== undefined;
    return [
      withContent(
        value?.dtype ?? "float32",
        shape,
        repeated ? new Array<Dim>(count).fill(element) : undefined,
      ),
    ];
  },
  evaluate: ({ in: { shape: operand }, attrs: { value } }) => {
    const shape = operand.toNumbers();
    const filler = value === undefined ? fromNumbers("float32", [1], [0]) : fromTensor(value);
    return [takeAt(filler, shape, new Int32Array(countElements(shape)))];
  },
  parts: partsOfSpread,
  precision: "exact",
  gradient: zero("the elements do not depend on the shape"),
  hostInputs: ["shape"],
});

export const Range = defineOp({
  type: "Range",
  versions: [11, 27],
  inputs: ["start", "limit", "delta"],
  ranks: { start: [0, 1], limit: [0, 1], delta: [0, 1] },
  outputs: ["y"],
  attributes: {},
  downgrades: {
    27: (node, b) => {
      const low = ["float16", "bfloat16"].includes(node.inputs[0]?.tensorType?.dtype ?? "");
      const stash = node.int("stash_type", 1);
      if (low && stash !== 1)
        throw new InternalError(`stash_type ${stash}, where only sums in float32 can be said`);
      node.attributes.delete("stash_type");
      throughFloat32(["float16", "bfloat16"])(node, b);
    },
  },
  infer: ({ in: { start, limit, delta } }) => [inferRange(start, limit, delta)],
  evaluate: ({ in: { start, limit, delta }, exact }) => {
    const [first = 0, end = 0, step = 1] = [start, limit, delta].map((bound) => bound.toNumbers()[0]);
    const count = Math.max(0, Math.ceil((end - first) / step));
    return [
      fromNumbers(
        start.dtype,
        [count],
        countUp(count).map((i) => first + i * step),
        exact,
      ),
    ];
  },
  precision: "exact",
  // y_i = start + i delta; the limit decides on the length only.
  gradient: ({ in: { start, limit, delta }, out: { y }, grad, b }) => ({
    start: () => b.reduceSum(grad.y, undefined, false),
    limit: () => b.zerosLike(limit),
    delta: () => b.div(b.reduceSum(b.mul(grad.y, b.sub(y, start)), undefined, false), delta),
  }),
});

export const EyeLike = defineOp({
  type: "EyeLike",
  versions: [9, 22],
  inputs: ["x"],
  ranks: { x: 2 },
  outputs: ["y"],
  attributes: { dtype: maybeInt(), k: int(0) },
  infer: ({ in: { x }, attrs: { dtype } }) => {
    const chosen = dtype === undefined ? x.tensorType?.dtype : dtypeFromCode(dtype);
    return [chosen && tensorType(chosen, x.tensorType?.shape ?? unknownShape(2))];
  },
  evaluate: ({ in: { x }, attrs: { dtype, k } }) => {
    const chosen = dtype === undefined ? x.dtype : dtypeFromCode(dtype);
    const [rows = 0, columns = 0] = x.shape;
    if (chosen === undefined) throw new InternalError(`EyeLike of type ${dtype}`);
    const flags = countUp(rows * columns).map((at) => (at % columns) - Math.floor(at / columns) === k);
    return [fromNumbers(chosen, x.shape, flags.map(Number))];
  },
  precision: "exact",
  gradient: zero("only the shape of the operand is read"),
});

function constantArray(node: Node): NDArray {
  const value = constantOf(node.output(0));
  if (value !== undefined) return fromTensor(value);
  const attribute = [...node.attributes.values()][0];
  const decoder = new TextDecoder();
  const read = (text: string | Uint8Array): string =>
    typeof text === "string" ? text : decoder.decode(text);
  if (attribute?.kind === "string") return new NDArray("string", [], [read(attribute.value)]);
  if (attribute?.kind === "strings") {
    return new NDArray("string", [attribute.value.length], attribute.value.map(read));
  }
  if (attribute?.kind !== "sparse") throw new InternalError(`Constant "${node.name}" has no value`);
  const { values, indices, dims } = attribute.value;
  const places = fromTensor(indices).toNumbers();
  const offsets = new Int32Array(countElements(dims)).fill(nowhere);
  for (let i = 0; i < values.size; i++) {
    // Either flat indices, or one row of coordinates for each value.
    const row =
      indices.dims.length === 1 ? [places[i] ?? 0] : places.slice(i * dims.length, (i + 1) * dims.length);
    const at =
      row.length === 1 ? row[0] : row.reduce((flat, index, axis) => flat * (dims[axis] ?? 1) + index, 0);
    if (at === undefined || at < 0 || at >= offsets.length)
      throw new InternalError(`Constant "${node.name}" has a value at ${at} of ${offsets.length}`);
    offsets[at] = i;
  }
  return takeAt(fromTensor(values), dims, offsets);
}

function inferRange(start: Value, limit: Value, delta: Value): Inferred {
  const dtype = start.tensorType?.dtype ?? limit.tensorType?.dtype ?? delta.tensorType?.dtype;
  if (dtype === undefined) return undefined;
  if (isFloat(dtype)) return tensorType(dtype, rangeOfFloats([start, limit, delta]) ?? unknownShape(1));
  const [first, end, step] = [start, limit, delta].map((bound) => contentOf(bound)?.[0]);
  if (first === undefined || end === undefined || typeof step !== "number" || step === 0) {
    return tensorType(dtype, unknownShape(1));
  }
  const [span, size] = step > 0 ? [subDims(end, first), step] : [subDims(first, end), -step];
  const steps = ceilDivDims(span, size);
  const count = typeof steps === "number" || !isAtLeastZero(span) ? maxDims(steps, 0) : steps;
  const listed = typeof count === "number" && count <= contentLimit;
  const element = (index: number): Dim => addDims(first, mulDims(step, index));
  return withContent(dtype, [count], listed ? countUp(count).map(element) : undefined);
}

function rangeOfFloats(bounds: readonly Value[]): readonly number[] | undefined {
  const [first, end, step] = bounds.map((bound) => {
    const tensor = constantOf(bound);
    return tensor === undefined ? undefined : fromTensor(tensor).toNumbers()[0];
  });
  if (first === undefined || end === undefined || step === undefined || step === 0) return undefined;
  return [Math.max(0, Math.ceil((end - first) / step))];
}
