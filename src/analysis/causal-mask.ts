/** Proves that a mask of attention hides from each position all that come after it, whatever the sizes are. */
import { constantOf } from "../ir/constant.ts";
import { dimsEqual } from "../ir/dim.ts";
import type { DType } from "../ir/dtype.ts";
import type { Node } from "../ir/node.ts";
import type { Tensor } from "../ir/tensor.ts";
import type { Value } from "../ir/value.ts";
import { isComputable } from "../ops/elements.ts";
import { knownIntegers } from "../ops/kernels/reduction-axes.ts";
import { fromTensor } from "../ops/ndarray.ts";
import { isFilledWith } from "../rewrite/match.ts";

/** What is proven of a mask over the last two axes, rows that ask and columns that are asked. */
export interface CausalMask {
  /** Whether it hides nothing but columns after the row. Where it hides more, a row may see nothing at all. */
  readonly alone: boolean;
}

/** A score with this added is no share of a softmax in which another score is finite: float32 has 24 bits. */
const blocking = -1e30;

/** Elements of a constant mask that are looked at, at most. */
const readLimit = 1 << 24;

/** What is known of a float mask that is added to scores; undefined where it is not known to be causal. */
export function findCausalMask(mask: Value): CausalMask | undefined {
  const constant = squareConstant(mask, "float32");
  if (constant !== undefined) return constantMask(constant);
  const node = mask.producer;
  if (node === undefined || node.domain !== "") return undefined;
  switch (node.op) {
    case "Where":
      return chosenMask(node);
    case "Add":
      return addedMask(node);
    case "Trilu":
      return triangularMask(node);
    default: {
      const source = sameRowsAndColumns(node);
      return source === undefined ? undefined : findCausalMask(source);
    }
  }
}

/** A condition that lets through: whether it is false for every column after its row. */
function letsPast(condition: Value): CausalMask | undefined {
  const constant = squareConstant(condition, "bool");
  if (constant !== undefined) return constantCondition(constant);
  const node = condition.producer;
  if (node === undefined || node.domain !== "") return undefined;
  if (node.op === "And") {
    const [left, right] = [node.input(0), node.input(1)];
    if (left === undefined || right === undefined) return undefined;
    const [first, second] = [letsPast(left), letsPast(right)];
    if (first === undefined && second === undefined) return undefined;
    const harmless = (known: CausalMask | undefined, value: Value): boolean =>
      known?.alone ?? isAlwaysTrue(value);
    return { alone: harmless(first, left) && harmless(second, right) };
  }
  if (node.op === "Not") {
    const [hidden] = node.inputs;
    return hidden != null && isFuture(hidden) ? { alone: true } : undefined;
  }
  const order = compared(node);
  if (order !== undefined) return order === "past" ? { alone: true } : undefined;
  const source = sameRowsAndColumns(node);
  return source === undefined ? undefined : letsPast(source);
}

/** A condition that is true for the columns after its row and for no others. */
function isFuture(condition: Value): boolean {
  const node = condition.producer;
  if (node === undefined || node.domain !== "") return false;
  if (compared(node) === "future") return true;
  const source = sameRowsAndColumns(node);
  return source !== undefined && isFuture(source);
}

/** Positions along the columns compared with positions along the rows. */
function compared(node: Node): "past" | "future" | undefined {
  const [left, right] = [node.input(0), node.input(1)];
  if (left === undefined || right === undefined) return undefined;
  const [first, second] = [countedAxis(left), countedAxis(right)];
  const columnsFirst = first === 1 && second === 2;
  if (!columnsFirst && !(first === 2 && second === 1)) return undefined;
  switch (node.op) {
    case "LessOrEqual":
      return columnsFirst ? "past" : undefined;
    case "GreaterOrEqual":
      return columnsFirst ? undefined : "past";
    case "Greater":
      return columnsFirst ? "future" : undefined;
    case "Less":
      return columnsFirst ? undefined : "future";
    default:
      return undefined;
  }
}

/** The axis, counted from the end from 1, along which a value is 0, 1, 2 ... and all else is one element. */
function countedAxis(value: Value): number | undefined {
  const node = value.producer;
  if (node === undefined) {
    const tensor = constantOf(value);
    const wide = tensor?.dims.flatMap((dim, axis) => (dim === 1 ? [] : [axis])) ?? [];
    const [axis] = wide;
    if (tensor === undefined || axis === undefined || wide.length > 1 || tensor.size > readLimit)
      return undefined;
    return fromTensor(tensor)
      .toNumbers()
      .every((element, index) => element === index)
      ? tensor.dims.length - axis
      : undefined;
  }
  const source = node.input(0);
  if (node.domain !== "" || source === undefined) return undefined;
  if (node.op === "Range") return isFilledWith(source, 0) && isFilledWith(node.input(2), 1) ? 1 : undefined;
  if (node.op === "Cast" || node.op === "Identity") return countedAxis(source);
  if (node.op !== "Unsqueeze" && node.op !== "Reshape") return undefined;
  const shape = value.tensorType?.shape;
  if (shape === undefined || countedAxis(source) === undefined) return undefined;
  const wide = shape.flatMap((dim, axis) => (dim === 1 ? [] : [axis]));
  const [axis] = wide;
  return axis !== undefined && wide.length === 1 ? shape.length - axis : undefined;
}

/** What a node passes on so that rows and columns stay where they are, counted from the end. */
function sameRowsAndColumns(node: Node): Value | undefined {
  const source = node.input(0);
  if (source === undefined) return undefined;
  if (node.op === "Cast" || node.op === "Identity") return source;
  if (!["Unsqueeze", "Expand", "Reshape", "Slice", "Squeeze"].includes(node.op)) return undefined;
  const [from, to] = [source.tensorType?.shape, node.output(0).tensorType?.shape];
  if (from === undefined || to === undefined || from.length < 2 || to.length < 2) return undefined;
  const same = [-1, -2].every((axis) => dimsEqual(from.at(axis) ?? Number.NaN, to.at(axis) ?? Number.NaN));
  if (!same) return undefined;
  if (node.op !== "Unsqueeze" && node.op !== "Squeeze") return source;
  const rank = Math.max(from.length, to.length);
  const axes = knownIntegers(node.input(1) ?? source);
  return axes?.every((axis) => (axis < 0 ? axis + rank : axis) < rank - 2) === true ? source : undefined;
}

function chosenMask(node: Node): CausalMask | undefined {
  const [condition, whenTrue, whenFalse] = [node.input(0), node.input(1), node.input(2)];
  if (condition === undefined || whenTrue === undefined || whenFalse === undefined) return undefined;
  const lets = letsPast(condition);
  if (lets !== undefined && isBlocking(whenFalse)) return { alone: lets.alone && isFilledWith(whenTrue, 0) };
  if (isFuture(condition) && isBlocking(whenTrue)) return { alone: isFilledWith(whenFalse, 0) };
  return undefined;
}

/** A causal mask and another one: what the other lets through stays near to zero, so that nothing is let through again. */
function addedMask(node: Node): CausalMask | undefined {
  const [left, right] = [node.input(0), node.input(1)];
  if (left === undefined || right === undefined) return undefined;
  const [first, second] = [findCausalMask(left), findCausalMask(right)];
  if (first === undefined && second === undefined) return undefined;
  const isMask = (known: CausalMask | undefined, value: Value): boolean =>
    known !== undefined || value.producer?.op === "Where";
  return isMask(first, left) && isMask(second, right) ? { alone: false } : undefined;
}

/** The upper triangle of a blocking constant, above the diagonal. */
function triangularMask(node: Node): CausalMask | undefined {
  const [x, k] = [node.input(0), node.input(1)];
  if (x === undefined || node.int("upper", 1) !== 1 || !isFilledWith(k, 1)) return undefined;
  return isBlocking(x) ? { alone: true } : undefined;
}

/** Matrices of one side's length that a constant holds, with its elements in their order. */
interface SquareConstant {
  readonly side: number;
  readonly elements: Float64Array;
}

function squareConstant(value: Value, dtype: DType): SquareConstant | undefined {
  const tensor = constantOf(value);
  const side = tensor?.dims.at(-1);
  if (tensor === undefined || side === undefined || side === 0 || tensor.dims.at(-2) !== side)
    return undefined;
  if (tensor.dtype !== dtype || tensor.size > readLimit) return undefined;
  return { side, elements: fromTensor(tensor).numbers };
}

/** Whether all elements after the diagonal, in the first list, and all others, in the second, are as they should be. */
function triangles(
  { side, elements }: SquareConstant,
  after: (element: number) => boolean,
  upTo: (element: number) => boolean,
): readonly [boolean, boolean] {
  let [future, past] = [true, true];
  for (const [index, element] of elements.entries()) {
    if (index % side > Math.floor(index / side) % side) future &&= after(element);
    else past &&= upTo(element);
  }
  return [future, past];
}

function constantMask(constant: SquareConstant): CausalMask | undefined {
  const [hidden, alone] = triangles(
    constant,
    (x) => x <= blocking,
    (x) => x === 0,
  );
  return hidden ? { alone } : undefined;
}

function constantCondition(constant: SquareConstant): CausalMask | undefined {
  const [hidden, alone] = triangles(
    constant,
    (x) => x === 0,
    (x) => x !== 0,
  );
  return hidden ? { alone } : undefined;
}

const isBlocking = (value: Value): boolean => isEverywhere(value, (element) => element <= blocking);

const isAlwaysTrue = (condition: Value): boolean => isEverywhere(condition, (element) => element !== 0);

/** Operators all of whose results are elements of their first operand. */
const movers: readonly string[] = ["Expand", "Unsqueeze", "Reshape", "Flatten", "Gather", "Cast", "Identity"];

/** Whether constants alone make a value, and each of its elements is as it should be. */
function isEverywhere(value: Value, holds: (element: number) => boolean): boolean {
  const tensor = constantOf(value);
  if (tensor !== undefined)
    return isComputable(tensor.dtype) && tensor.size <= readLimit && everyElement(tensor, holds);
  const node = value.producer;
  if (node?.domain !== "") return false;
  if (node.op === "ConstantOfShape") {
    const filler = node.attributes.get("value");
    return filler?.kind === "tensor" && everyElement(filler.value, holds);
  }
  const [source] = node.inputs;
  return movers.includes(node.op) && source != null && isEverywhere(source, holds);
}

function everyElement(tensor: Tensor, holds: (element: number) => boolean): boolean {
  return fromTensor(tensor).toNumbers().every(holds);
}
