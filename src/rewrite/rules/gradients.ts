/** Rules for what gradients leave behind: the same sums over fewer elements, and pieces put together at once. */
import { constantOf, smallIntegers } from "../../ir/constant.ts";
import type { Node } from "../../ir/node.ts";
import { normalizeAxis } from "../../ir/shape.ts";
import type { Value } from "../../ir/value.ts";
import { isNarrower, rankOf } from "../../ops/facts.ts";
import { knownIntegers } from "../../ops/kernels/reduction-axes.ts";
import { nodeRule, type Rule } from "../rule.ts";
import { haveSameShape } from "./proofs.ts";

/** A softmax gradient's sum over columns, `sum_j (g @ v^T)_ij p_ij`, where `o = p @ v` is there as well. */
interface WeightedSum {
  readonly g: Value;
  readonly o: Value;
}

/**
 * `sum_j p_ij sum_d g_id v_jd = sum_d g_id o_id`: a sum over the width of a head in the place of one over all columns
 * (Dao et al., "FlashAttention", arXiv:2205.14135, equation 4).
 */
const sumByOutput = nodeRule("sum-by-output", {
  roots: ["ReduceSum"],
  when: (node) => weightedSum(node) !== undefined,
  build: (node, b) => {
    const found = weightedSum(node);
    // From the front: the runtime takes an axis from the end of a tensor without elements for one that it does not have.
    return found === undefined ? node.output(0) : b.reduceSum(b.mul(found.g, found.o), [rankOf(found.o) - 1]);
  },
});

function weightedSum(node: Node): WeightedSum | undefined {
  const source = node.input(0);
  const rank = source?.tensorType?.shape?.length;
  const product = source?.producer;
  if (rank === undefined || product?.op !== "Mul" || source?.uses.size !== 1) return undefined;
  const axes = node.input(1) === undefined ? undefined : knownIntegers(node.input(1) ?? source);
  const [axis, second] = axes ?? [];
  if (axis === undefined || second !== undefined || normalizeAxis(axis, rank) !== rank - 1) return undefined;
  if (node.int("keepdims", 1) === 0) return undefined;
  for (const [left, p] of [product.inputs, [...product.inputs].reverse()]) {
    const matmul = left?.producer;
    if (p == null || matmul?.op !== "MatMul" || matmul.domain !== "") continue;
    const [g, turned] = [matmul.input(0), matmul.input(1)];
    if (g === undefined || turned === undefined) continue;
    for (const use of p.uses) {
      if (use.kind !== "operand" || use.node.op !== "MatMul" || use.index !== 0) continue;
      const v = use.node.input(1);
      if (v === undefined || !isTurned(turned, v)) continue;
      const o = use.node.output(0);
      // The same step leads back from the sum over the width, unless that is the shorter one.
      if (use.node.graph === node.graph && haveSameShape(o, g) && isNarrower(o, p)) return { g, o };
    }
  }
  return undefined;
}

/** Whether one value is the other with its last two axes exchanged: a Transpose of it, or of what it is a Transpose of. */
function isTurned(turned: Value, value: Value): boolean {
  const [left, right] = [viewOf(turned), viewOf(value)];
  if (left === undefined || right === undefined || left.source !== right.source) return false;
  const rank = left.perm.length;
  const swapped = right.perm.map((_, at) => right.perm[at < rank - 2 ? at : 2 * rank - 3 - at]);
  return left.perm.join() === swapped.join();
}

/** A value as a permutation of axes of what a Transpose reads, or of itself. */
function viewOf(value: Value): { readonly source: Value; readonly perm: readonly number[] } | undefined {
  const rank = value.tensorType?.shape?.length;
  if (rank === undefined) return undefined;
  const { producer } = value;
  const source = producer?.op === "Transpose" && producer.domain === "" ? producer.input(0) : undefined;
  const perm = source === undefined ? undefined : producer?.ints("perm", undefined);
  const whole = { source: value, perm: Array.from({ length: rank }, (_, axis) => axis) };
  return source === undefined || perm === undefined ? whole : { source, perm };
}

/** Two pieces with zeros around them that fill each other's gap: the gradient of an operand that was cut in two. */
const joinPieces = nodeRule("join-padded-pieces", {
  roots: ["Add"],
  when: (node) => pieces(node) !== undefined,
  build: (node, b) => {
    const found = pieces(node);
    return found === undefined ? node.output(0) : b.concat(found.parts, found.axis);
  },
});

function pieces(node: Node): { readonly parts: readonly Value[]; readonly axis: number } | undefined {
  const [left, right] = [padded(node.input(0)), padded(node.input(1))];
  if (left === undefined || right === undefined || left.axis !== right.axis) return undefined;
  const { axis, rank } = left;
  const [first, last] = left.before === 0 ? [left, right] : [right, left];
  const [front, back] = [first.x.tensorType?.shape?.[axis], last.x.tensorType?.shape?.[axis]];
  const fits = first.before === 0 && last.after === 0 && front === last.before && back === first.after;
  return fits && rank === right.rank ? { parts: [first.x, last.x], axis } : undefined;
}

interface Padded {
  readonly x: Value;
  readonly axis: number;
  readonly rank: number;
  readonly before: number;
  readonly after: number;
}

/** A Pad with zeros along one axis that nothing else reads. */
function padded(value: Value | undefined): Padded | undefined {
  const node = value?.producer;
  const x = node?.input(0);
  const rank = x?.tensorType?.shape?.length;
  if (
    node?.op !== "Pad" ||
    node.domain !== "" ||
    x === undefined ||
    rank === undefined ||
    value?.uses.size !== 1
  )
    return undefined;
  if (node.string("mode", "constant") !== "constant" || node.input(2) !== undefined) return undefined;
  const sizes = smallIntegers(constantOf(node.input(1)));
  const axes =
    node.input(3) === undefined
      ? sizes && [...sizes.keys()].slice(0, rank)
      : knownIntegers(node.input(3) ?? x);
  if (sizes === undefined || axes === undefined || sizes.length !== 2 * axes.length) return undefined;
  const used = axes.flatMap((_, at) => (sizes[at] !== 0 || sizes[at + axes.length] !== 0 ? [at] : []));
  const [at, another] = used;
  const axis = at === undefined ? undefined : normalizeAxis(axes[at] ?? 0, rank);
  if (at === undefined || axis === undefined || another !== undefined) return undefined;
  return { x, axis, rank, before: sizes[at] ?? 0, after: sizes[at + axes.length] ?? 0 };
}

/** Element-wise operators broadcast by themselves. */
const broadcastInPlace = nodeRule("drop-expand-before-broadcast", {
  roots: ["Add", "Sub", "Mul", "Div"],
  when: (node) => expandedOperand(node) !== undefined,
  build: (node, b) => {
    const index = expandedOperand(node);
    const inputs = node.inputs.map((input, at) =>
      at === index ? (input?.producer?.input(0) ?? input) : input,
    );
    return b.op(node.op, inputs);
  },
});

/** The operand that is expanded to what the other one has anyway. */
function expandedOperand(node: Node): number | undefined {
  const index = node.inputs.findIndex((input, at) => {
    const other = node.input(1 - at);
    return input?.producer?.op === "Expand" && other !== undefined && haveSameShape(other, node.output(0));
  });
  return index < 0 ? undefined : index;
}

export const gradientRules: readonly Rule[] = [sumByOutput, joinPieces, broadcastInPlace];
