/** Queries, keys and values by the meaning of their axes, in whatever layout an exporter left them. */
import { constantOf } from "../ir/constant.ts";
import { type Dim, dimsEqual } from "../ir/dim.ts";
import type { Node } from "../ir/node.ts";
import type { Value } from "../ir/value.ts";

/** What an axis counts. */
export type HeadAxis = "batch" | "heads" | "sequence" | "dim";

/** A tensor of four axes, each with its meaning. */
export interface HeadTensor {
  readonly value: Value;
  /** Meaning of each axis, outermost first. */
  readonly axes: readonly HeadAxis[];
}

/** [batch, heads, sequence, head_dim]. */
export const canonicalAxes: readonly HeadAxis[] = ["batch", "heads", "sequence", "dim"];

/** Length of the axis of a meaning. */
export function lengthOf({ value, axes }: HeadTensor, axis: HeadAxis): Dim | undefined {
  return value.tensorType?.shape?.[axes.indexOf(axis)];
}

/**
 * The tensor behind an operand of a product: scales, casts, transposes and the repetition of key-value heads are walked
 * back through, as they act on every position alike.
 */
export function traceHeads(operand: Value, axes: readonly HeadAxis[]): HeadTensor {
  let at: HeadTensor = { value: operand, axes };
  for (let step = backwards(at); step !== undefined; step = backwards(at)) at = step;
  return at;
}

/** The same for an operand of three axes, whose first counts batch and heads together; undefined where heads are no axis. */
export function openHeads(operand: Value, axes: readonly HeadAxis[]): HeadTensor | undefined {
  const rank = operand.tensorType?.shape?.length;
  if (rank === 4) return traceHeads(operand, axes);
  if (rank !== 3) return undefined;
  let value = operand;
  let [, , rows, columns] = axes;
  for (
    let node = value.producer;
    node !== undefined && rows !== undefined && columns !== undefined;
    node = value.producer
  ) {
    const data =
      node.op === "Mul" || node.op === "Div" ? scaled(node, { value, axes })?.value : node.input(0);
    if (data === undefined) return undefined;
    const [merged, open] = [value.tensorType?.shape, data.tensorType?.shape];
    if (node.op === "Reshape" && open?.length === 4 && merged?.length === 3) {
      const keeps = same(open[2], merged[1]) && same(open[3], merged[2]);
      return keeps ? traceHeads(data, ["batch", "heads", rows, columns]) : undefined;
    }
    if (node.op === "Transpose" && node.ints("perm", undefined)?.join() === "0,2,1")
      [rows, columns] = [columns, rows];
    else if (node.op !== "Cast" && node.op !== "Mul" && node.op !== "Div") return undefined;
    value = data;
  }
  return undefined;
}

function backwards(at: HeadTensor): HeadTensor | undefined {
  const node = at.value.producer;
  const data = node?.input(0);
  if (node === undefined || data === undefined || node.domain !== "") return undefined;
  switch (node.op) {
    case "Cast":
    case "Identity":
      return { value: data, axes: at.axes };
    case "Mul":
    case "Div":
      return scaled(node, at);
    case "Transpose":
      return transposed(node, data, at);
    case "Reshape":
      return repeated(data, at) ?? swapped(data, at);
    default:
      return undefined;
  }
}

/** Behind a factor that is one constant number. */
function scaled(node: Node, { axes }: HeadTensor): HeadTensor | undefined {
  for (const index of node.op === "Mul" ? [0, 1] : [0]) {
    const value = node.input(index);
    if (value !== undefined && isScalar(node.input(1 - index))) return { value, axes };
  }
  return undefined;
}

/** A number that holds for all elements: a constant, or computed from nothing but constants and shapes. */
export function isScalar(value: Value | undefined): boolean {
  if (value === undefined) return false;
  return constantOf(value)?.size === 1 || value.tensorType?.shape?.every((dim) => dim === 1) === true;
}

function transposed(node: Node, value: Value, { axes }: HeadTensor): HeadTensor | undefined {
  const perm = node.ints("perm", undefined);
  if (perm?.length !== axes.length) return undefined;
  const before: HeadAxis[] = [...axes];
  perm.forEach((from, to) => {
    const axis = axes[to];
    if (axis !== undefined) before[from] = axis;
  });
  return { value, axes: before };
}

/** Reshape(Expand(Unsqueeze(x))) that repeats each head: x has fewer heads. */
function repeated(data: Value, { axes }: HeadTensor): HeadTensor | undefined {
  const expand = data.producer;
  const unsqueeze = expand?.op === "Expand" ? expand.input(0)?.producer : undefined;
  const value = unsqueeze?.op === "Unsqueeze" || unsqueeze?.op === "Reshape" ? unsqueeze.input(0) : undefined;
  const shape = value?.tensorType?.shape;
  const inner = unsqueeze?.output().tensorType?.shape;
  const at = axes.indexOf("heads") + 1;
  if (value === undefined || shape?.length !== axes.length || inner?.length !== axes.length + 1)
    return undefined;
  const isInserted =
    inner[at] === 1 && inner.filter((_, i) => i !== at).every((dim, i) => same(dim, shape[i]));
  return isInserted ? { value, axes } : undefined;
}

/** Reshape(Transpose(Reshape(x))) that swaps the last two axes of x, with batch and heads as one axis in between. */
function swapped(data: Value, { value, axes }: HeadTensor): HeadTensor | undefined {
  const transpose = data.producer;
  const reshape = transpose?.op === "Transpose" ? transpose.input(0)?.producer : undefined;
  const from = reshape?.op === "Reshape" ? reshape.input(0) : undefined;
  const [before, after] = [from?.tensorType?.shape, value.tensorType?.shape];
  if (from === undefined || transpose?.ints("perm", undefined)?.join() !== "0,2,1") return undefined;
  if (before?.length !== 4 || after?.length !== 4) return undefined;
  const isSwap = [0, 1, 3, 2].every((axis, i) => same(before[axis], after[i]));
  const [a, b, c, d] = axes;
  if (!isSwap || a === undefined || b === undefined || c === undefined || d === undefined) return undefined;
  return { value: from, axes: [a, b, d, c] };
}

function same(left: Dim | undefined, right: Dim | undefined): boolean {
  return left !== undefined && right !== undefined && dimsEqual(left, right);
}
